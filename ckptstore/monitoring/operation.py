"""One kind of operation of a store, and how its calls are counted."""

from __future__ import annotations

import logging
import math
from bisect import bisect
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from ckptstore.monitoring.histogram import BOUNDS

if TYPE_CHECKING:
    from ckptstore.monitoring.monitor import Monitor

logger = logging.getLogger(__name__)


#: What an operation is about: thread id, namespace and checkpoint id, as far as they are known. Never a value, never metadata.
Subject = tuple[str | None, str | None, str | None]

NO_SUBJECT: Subject = (None, None, None)


class Operation:
    """Counts the calls of one kind of operation, and logs the slow ones.

    Operations that everyone pays for call `perf_counter` when they begin, and then `ended` or `failed`; others use `observed`.

    Args:
        monitor: of the store.
        name: such as `put`.
        durations: the histogram of those that succeeded.
        slow_seconds: one that took so long is logged.
        is_part: whether it is part of another operation, which counts its error.
    """

    __slots__ = ("_durations", "_is_part", "_monitor", "_recent", "_slow_seconds", "name")

    def __init__(self, monitor: Monitor, name: str, durations: list[int], slow_seconds: float = math.inf, *, is_part: bool = False) -> None:
        self.name = name
        self._monitor = monitor
        self._recent = monitor.recent
        self._durations = durations
        self._slow_seconds = slow_seconds
        self._is_part = is_part

    def ended(self, started: float, subject: Subject) -> None:
        """Count one that succeeded.

        Args:
            started: when it began, by `perf_counter`.
            subject: what it is about.
        """
        now = perf_counter()
        if now >= self._recent.next_at:
            self._recent.note(now)
        seconds = now - started
        self._durations[bisect(BOUNDS, seconds)] += 1
        if seconds >= self._slow_seconds:
            self._log_slow(now - max(started, self._monitor.ready_at), subject)

    def failed(self, exc: BaseException) -> None:
        """Count one that failed. One that was cancelled or interrupted is none."""
        if self._is_part or not isinstance(exc, Exception):
            return
        now = perf_counter()
        if now >= self._recent.next_at:
            self._recent.note(now)
        self._monitor.counters.errors[type(exc).__name__] += 1

    @contextmanager
    def observed(self, subject: Subject = NO_SUBJECT) -> Iterator[None]:
        """Count what runs in this context as one operation."""
        started = perf_counter()
        try:
            yield
        except BaseException as exc:
            self.failed(exc)
            raise
        self.ended(started, subject)

    def _log_slow(self, seconds: float, subject: Subject) -> None:
        if seconds < self._slow_seconds:
            return
        thread_id, checkpoint_ns, checkpoint_id = subject
        fields = {"event": "slow_operation", "operation": self.name, "seconds": seconds}
        fields |= {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns, "checkpoint_id": checkpoint_id}
        logger.warning("%s took %.3f s, thread %r", self.name, seconds, thread_id, extra=fields)
