"""One kind of operation of a store: how its calls are counted, measured and traced."""

from __future__ import annotations

import logging
import math
from bisect import bisect
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ckptstore.errors import BlobUrlChanged, SchemaOutOfDate, SchemaTooNew, StatementRefused, StoreMoved, TagKeysChanged
from ckptstore.monitoring.attributes import Attributes
from ckptstore.monitoring.histogram import BOUNDS
from ckptstore.monitoring.recent import INTERVAL_SECONDS, drain
from ckptstore.monitoring.subject import NO_SUBJECT, Subject

if TYPE_CHECKING:
    from ckptstore.monitoring.metrics import Family
    from ckptstore.monitoring.monitor import Monitor

logger = logging.getLogger(__name__)

# Somebody has to change something before calls succeed again, so the first is logged. A size limit logs each of its refusals itself.
_REFUSALS = (BlobUrlChanged, SchemaOutOfDate, SchemaTooNew, StatementRefused, StoreMoved, TagKeysChanged)


class Operation:
    """Counts the calls of one kind of operation, and passes on those of which somebody wants to know.

    Operations that everyone pays for call `perf_counter` when they begin, and `Monitor.tick` if it is due; then `ended` or `failed`. Others
    use `observed`. Those that succeed are only noted, and counted in bulk later: what runs between the statements of a step finds little of
    itself in the processor's caches, so each instruction there costs several times what it does in a loop.

    Args:
        monitor: of the store.
        name: such as `put`.
        family: what it works on. Those on blobs are parts of other operations, whose errors are counted.
        durations: the histogram of those that succeeded.
        slow_seconds: one that took so long is logged.
    """

    __slots__ = ("_durations", "_family", "_monitor", "_note", "_noted", "_refusals", "_reported_seconds", "_slow_seconds", "name")

    def __init__(self, monitor: Monitor, name: str, family: Family, durations: list[int], slow_seconds: float = math.inf) -> None:
        self.name = name
        self._family: Family = family
        self._monitor = monitor
        self._durations = durations
        self._noted: deque[float] = deque()
        self._note = self._noted.append
        self._slow_seconds = slow_seconds
        # One that ends long after it began may be the first of its second.
        self._reported_seconds = min(slow_seconds, INTERVAL_SECONDS)
        self._refusals: set[str] = set()

    def report_all(self) -> None:
        """Report also those that are not slow: there are metrics."""
        self._reported_seconds = -math.inf

    def ended(self, started: float, subject: Subject) -> None:
        """Count one that succeeded.

        Args:
            started: when it began, by `perf_counter`.
            subject: what it is about.
        """
        seconds = perf_counter() - started
        if seconds >= self._reported_seconds:
            self._report(started + seconds, started, subject)
        self._note(seconds)

    def count_noted(self) -> None:
        """Count what was noted: mostly nothing, by most kinds of operations."""
        for seconds in drain(self._noted) if self._noted else ():
            self._durations[bisect(BOUNDS, seconds)] += 1

    def failed(self, started: float, exc: BaseException) -> None:
        """Count one that failed, and log the first refusal of each class. One that was cancelled or interrupted is none."""
        if not isinstance(exc, Exception):
            return
        now, error = perf_counter(), type(exc).__name__
        if self._monitor.metrics is not None:
            self._monitor.metrics.operation(self._family, self.name, now - started, error)
        if self._family != "blobs":
            if now >= self._monitor.due_at:
                self._monitor.tick(now)
            self._monitor.counters.errors[error] += 1
        # Errors of maintenance are seen by the caller who runs it, or logged by the background run.
        if self._family == "database" and isinstance(exc, _REFUSALS) and error not in self._refusals:
            self._refusals.add(error)
            fields = {"event": "operation_refused", "operation": self.name, "error": error}
            logger.warning("%s was refused (further %s are counted, not logged): %s", self.name, error, exc, extra=fields)

    @contextmanager
    def observed(self, subject: Subject = NO_SUBJECT, attributes: Attributes | None = None) -> Iterator[None]:
        """Count, and trace, what runs in this context as one operation.

        Args:
            subject: what it is about.
            attributes: more of them, for the span.
        """
        started = perf_counter()
        if started >= self._monitor.due_at:
            self._monitor.tick(started)
        try:
            with self.span(subject, attributes):
                yield
        except BaseException as exc:
            self.failed(started, exc)
            raise
        self.ended(started, subject)

    def span(self, subject: Subject, attributes: Attributes | None = None) -> AbstractContextManager[Any]:
        """The span of one operation, if there are spans."""
        tracing = self._monitor.tracing
        return nullcontext() if tracing is None else tracing.span(self.name, subject, attributes or {})

    def _report(self, now: float, started: float, subject: Subject) -> None:
        if now >= self._monitor.due_at:
            self._monitor.tick(now)
        if self._monitor.metrics is not None:
            self._monitor.metrics.operation(self._family, self.name, now - started, None)
        seconds = now - max(started, self._monitor.ready_at)
        if seconds < self._slow_seconds:
            return
        thread_id, checkpoint_ns, checkpoint_id = subject
        fields = {"event": "slow_operation", "operation": self.name, "seconds": seconds}
        fields |= {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns, "checkpoint_id": checkpoint_id}
        logger.warning("%s took %.3f s, thread %r", self.name, seconds, thread_id, extra=fields)
