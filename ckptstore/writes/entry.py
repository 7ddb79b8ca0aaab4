"""An entry of the write queue."""

from __future__ import annotations

from time import monotonic
from typing import Any

from ckptstore.db.runner import Work
from ckptstore.runtime.future import Future
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts, WriteAttempt, WriteEncoder


class QueueEntry:
    """One caller's write, or work that has to run alone.

    A write has one of four states: not encoded (neither `write` nor `encoding`), encoded elsewhere (`encoding`), ready (`write`), and
    under way (`in_flight`).
    """

    __slots__ = (
        "abandoned",
        "alone",
        "attempt",
        "encoding",
        "future",
        "held_bytes",
        "in_flight",
        "missing",
        "threads",
        "waiting_since",
        "work",
        "write",
    )

    def __init__(self, threads: tuple[str, ...], attempt: WriteAttempt | None, work: Work[Any] | None) -> None:
        self.threads = threads
        #: What is to be written; None for work.
        self.attempt = attempt
        #: What is to be run; None for a write.
        self.work = work
        #: Since when it waits for the database, by the monotonic clock; 0 if it does not yet.
        self.waiting_since = 0.0
        #: The encoded write, once it is ready.
        self.write: EncodedWrite | None = None
        #: The encoded write while worker threads encode it, or upload its large parts.
        self.encoding: Future[EncodedWrite] | None = None
        #: What was missing when it was stored last: those parts have to be encoded too.
        self.missing: MissingParts | None = None
        #: Whether it is a batch by itself.
        self.alone = work is not None
        #: Whether it is in a batch under way.
        self.in_flight = False
        #: Whether its caller gave up while worker threads encoded it.
        self.abandoned = False
        #: Bytes that it occupies in memory.
        self.held_bytes = 0
        #: Done when the write is durable, or has failed.
        self.future: Future[Any] = Future()

    @property
    def is_ready(self) -> bool:
        """Whether it can go into a batch."""
        return self.write is not None or self.work is not None

    @property
    def is_encoded(self) -> bool:
        """Whether it is ready, or will be without the queue's doing."""
        return self.write is not None or self.encoding is not None or self.work is not None

    def encode(self, encoder: WriteEncoder) -> None:
        """Encode it, here or by worker threads; it raises what its serialiser raises."""
        assert self.attempt is not None
        self.held_bytes, encoded = encoder.encode(self.attempt, self.missing)
        self.missing = None
        if isinstance(encoded, Future):
            self.encoding = encoded
        else:
            self.write = encoded

    def take_encoded(self) -> BaseException | None:
        """Take what worker threads have encoded; returns why they could not."""
        assert self.encoding is not None
        exc = self.encoding.exception()
        if exc is None:
            self.write = self.encoding.result()
            # Uploading is not waiting for the database.
            self.waiting_since = monotonic()
        self.encoding = None
        return exc
