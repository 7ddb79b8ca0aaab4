"""An entry of the write queue."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from time import monotonic
from typing import Any

from ckptstore.db.runner import Work
from ckptstore.runtime.future import Future
from ckptstore.runtime.wakeups import coalesced_wakeups
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts, WriteAttempt, WriteEncoder


class State(Enum):
    """What an entry waits for.

    If its batch failed, it is `READY` again; if something that it refers to was missing in the database, it is `WAITING` again.
    """

    #: To be encoded: there was no room for it, or something that it refers to is missing.
    WAITING = auto()
    #: For worker threads, which encode it or upload its large parts.
    ENCODING = auto()
    #: For a batch. Work is ready from the start.
    READY = auto()
    #: For the end of the batch that it is in.
    UNDER_WAY = auto()


class QueueEntry:
    """One caller's write, or work that has to run alone.

    Its state changes where batches are made, but for the first encoding: the caller does that before it adds the entry.
    """

    __slots__ = (
        "abandoned",
        "alone",
        "attempt",
        "encoding",
        "future",
        "held_bytes",
        "missing",
        "state",
        "threads",
        "waiting_since",
        "work",
        "write",
    )

    def __init__(self, threads: tuple[str, ...], attempt: WriteAttempt | None, work: Work[Any] | None) -> None:
        self.state = State.WAITING if work is None else State.READY
        self.threads = threads
        #: What is to be written; None for work.
        self.attempt = attempt
        #: What is to be run; None for a write.
        self.work = work
        #: Since when it waits for the database, by the monotonic clock; 0 if it does not yet.
        self.waiting_since = 0.0
        #: The encoded write, from `READY` on.
        self.write: EncodedWrite | None = None
        #: Receives the encoded write, in `ENCODING`.
        self.encoding: Future[EncodedWrite] | None = None
        #: What was missing when it was stored last: those parts have to be encoded too.
        self.missing: MissingParts | None = None
        #: Whether it is a batch by itself.
        self.alone = work is not None
        #: Whether its caller, on any thread, gave up while worker threads encoded it.
        self.abandoned = False
        #: Bytes that it occupies in memory.
        self.held_bytes = 0
        #: Done when the write is durable, or has failed.
        self.future: Future[Any] = Future()

    def encode(self, encoder: WriteEncoder) -> None:
        """Encode it, here or by worker threads; it raises what its serialiser raises."""
        assert self.attempt is not None
        self.held_bytes, encoded = encoder.encode(self.attempt, self.missing)
        if isinstance(encoded, Future):
            self.encoding, self.state = encoded, State.ENCODING
        else:
            self.write, self.state = encoded, State.READY
            if self.attempt.lease is not None:
                self.write = encoded._replace(fence=self.attempt.lease.fence)
        self.missing = None

    def take_encoded(self) -> BaseException | None:
        """Take what worker threads have encoded; returns why they could not."""
        assert self.encoding is not None
        assert self.attempt is not None
        exc = self.encoding.exception()
        if exc is None:
            self.write = self.encoding.result()
            if self.attempt.lease is not None:
                self.write = self.write._replace(fence=self.attempt.lease.fence)
            # Uploading is not waiting for the database.
            self.waiting_since = monotonic()
        self.encoding, self.state = None, State.READY if exc is None else State.WAITING
        return exc

    def encode_again(self, missing: MissingParts) -> None:
        """Keep its turn, but wait to be encoded with what was missing when it was stored."""
        self.write, self.missing, self.held_bytes, self.state = None, missing, 0, State.WAITING


def complete(done: Sequence[tuple[QueueEntry, Any]], exc: BaseException | None) -> None:
    """Complete the futures of some entries: each with its result, or all with an exception if there is one."""
    if len(done) == 1:
        # One caller is woken at once.
        entry, result = done[0]
        entry.future.complete(result, exc)
        return
    with coalesced_wakeups():
        for entry, result in done:
            entry.future.complete(result, exc)
