"""How long writes wait for the lock of SQLite's file: measured on a sample, since Python's driver does not tell it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from ckptstore.monitoring.counters import Counters

# Measuring takes at most this part of the time, however long it takes to get the lock.
_SHARE = 0.05


class LockWaits:
    """Counts what it takes to get the lock, once a second at most.

    Args:
        counters: where it is counted.
    """

    __slots__ = ("_counters", "_next_at", "is_due")

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._next_at: float | None = None
        #: Whether the next write is to be measured. Looked at by every write, so it is no call.
        self.is_due = False

    def tick(self, now: float) -> None:
        """Note that a second has begun in which something is done (`now` by `perf_counter`). The first one is not measured."""
        self.is_due = self._next_at is not None and now >= self._next_at
        self._next_at = now if self._next_at is None else self._next_at

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Count what runs in this context as one wait for the lock, also if it was in vain."""
        self.is_due = False
        started = perf_counter()
        try:
            yield
        finally:
            ended = perf_counter()
            self._next_at = ended + (ended - started) / _SHARE
            self._counters.lock_samples += 1
            self._counters.lock_microseconds += round((ended - started) * 1_000_000)
