"""An entry of the write queue, and the states that it passes through."""

from __future__ import annotations

from concurrent.futures import Future
from enum import Enum, auto
from typing import Any

from ckptstore.db.runner import Work
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import WriteAttempt


class State(Enum):
    """The state of an entry in the queue."""

    #: The queue was full when it was submitted. It is encoded when there is room.
    WAITING = auto()
    #: It has a position in the queue, and its caller is encoding it.
    QUEUED = auto()
    #: Worker threads encode it, or upload its large parts. Closing waits for it.
    ENCODING = auto()
    #: It can go into a batch.
    READY = auto()
    #: The queue was closed before it was encoded; its future has failed already.
    REJECTED = auto()


class QueueEntry:
    """One caller's write, or work that has to run alone."""

    __slots__ = ("alone", "attempt", "future", "held_bytes", "state", "threads", "work", "write")

    def __init__(self, threads: tuple[str, ...], attempt: WriteAttempt | None, work: Work[Any] | None) -> None:
        self.threads = threads
        #: What is to be written; None for work.
        self.attempt = attempt
        #: What is to be run; None for a write.
        self.work = work
        #: The encoded write, once it is ready.
        self.write: EncodedWrite | None = None
        self.state = State.QUEUED if work is None else State.READY
        #: Whether it is a batch by itself.
        self.alone = work is not None
        #: Bytes that it occupies in memory.
        self.held_bytes = 0
        #: Done when the write is durable, or has failed.
        self.future: Future[Any] = Future()
