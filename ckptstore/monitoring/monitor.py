"""What a store tells about itself: it is made with the connection to the database, and everything above counts in it."""

from __future__ import annotations

import math
from bisect import bisect
from collections import deque
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import TYPE_CHECKING

from ckptstore.monitoring import providers
from ckptstore.monitoring.attributes import Attributes
from ckptstore.monitoring.counters import Counters
from ckptstore.monitoring.gauges import Gauges
from ckptstore.monitoring.histogram import BOUNDS, SIZE_BOUNDS
from ckptstore.monitoring.operation import Operation
from ckptstore.monitoring.recent import WINDOW_SECONDS, Recent, drain
from ckptstore.monitoring.records import PeriodStats
from ckptstore.monitoring.settings import DEFAULT_MONITORING, MonitoringSettings
from ckptstore.monitoring.summary import summary
from ckptstore.runtime.fork import in_child

if TYPE_CHECKING:
    from ckptstore.monitoring.metrics import Family, Metrics
    from ckptstore.monitoring.tracing import Tracing

# Filters may name any number of keys.
_MAX_SEARCHED = 1_000
_MAINTENANCE = ("prune", "collect", "transfer", "erase", "delete_thread")


class Monitor:
    """Counts what is done on one database by one store, and makes OpenTelemetry's spans and metrics if the application wants them.

    Args:
        settings: what is slow, and the providers.
    """

    def __init__(self, settings: MonitoringSettings | None = None) -> None:
        self.settings = settings = settings or DEFAULT_MONITORING
        self._counters = counters = Counters()
        #: Writes, bytes and seconds of batches that are not counted yet, see `Operation`.
        self._batches: deque[tuple[int, int, float]] = deque()
        self.recent = Recent(counters)
        self.lock_waits = self.recent.lock_waits
        #: From this time on (of `perf_counter`), every operation calls `tick` before it is counted.
        self.due_at = -math.inf
        self._load_due_at = math.inf
        #: Called when `load_due_at` has passed, see `ckptstore.store.load`.
        self.on_load_due: Callable[[float, Counters], object] = _ignore
        self._started_at = perf_counter()
        #: When the schema was found to fit, by `perf_counter`: what waited for that was not slow by itself.
        self.ready_at = -math.inf
        #: Makes spans and metrics; None where the application wants none.
        self.tracing: Tracing | None = None
        self.metrics: Metrics | None = None
        self._attributes: Attributes = {}
        self._read_gauges: Callable[[], Gauges | None] | None = None
        write, read = settings.slow_write_seconds, settings.slow_read_seconds
        self.put = Operation(self, "put", "database", counters.put, write)
        self.put_writes = Operation(self, "put_writes", "database", counters.put_writes, write)
        self.get = Operation(self, "get", "database", counters.get, read)
        #: One page of a listing.
        self.list = Operation(self, "list", "database", counters.list_page, read)
        self.upload = Operation(self, "upload", "blobs", counters.upload)
        self.download = Operation(self, "download", "blobs", counters.download)
        self._maintenance = [Operation(self, name, "maintenance", getattr(counters, name)) for name in _MAINTENANCE]
        self.prune, self.collect, self.transfer, self.erase, self.delete_thread = self._maintenance
        self._operations = [self.put, self.put_writes, self.get, self.list, self.upload, self.download, *self._maintenance]
        in_child(self._reset)

    def _reset(self) -> None:
        # A child of fork counts what it does itself.
        self.counters.reset()
        self.recent.reset()
        self._started_at = perf_counter()
        self.due_at = -math.inf

    # --- OpenTelemetry

    def start(self, attributes: Attributes, read_gauges: Callable[[], Gauges | None]) -> None:
        """Make spans and metrics from now on, if the application wants them.

        Args:
            attributes: of the database, see `attributes`.
            read_gauges: a method that gives the state of the store.
        """
        self._attributes = attributes
        self._read_gauges = read_gauges
        self.look_for_providers()

    def look_for_providers(self) -> None:
        """Take the providers of the settings, or those that the application has set."""
        if self.tracing is None and (tracers := self.settings.tracer_provider or providers.tracer_provider()) is not None:
            from ckptstore.monitoring.tracing import Tracing

            self.tracing = Tracing(tracers, self._attributes)
        if self._read_gauges is None or self.metrics is not None:
            return
        if (meters := self.settings.meter_provider or providers.meter_provider()) is not None:
            from ckptstore.monitoring.metrics import Metrics

            self.metrics = Metrics(meters, self._attributes, self._read_gauges)
            for operation in self._operations:
                operation.report_all()

    # --- counting

    @property
    def counters(self) -> Counters:
        """All that was counted up to now. It is the same object for as long as the monitor lives: callers that add to it keep it."""
        self._count_noted()
        return self._counters

    def _count_noted(self) -> None:
        for operation in self._operations:
            operation.count_noted()
        counters = self._counters
        for writes, size, seconds in drain(self._batches) if self._batches else ():
            counters.commit[bisect(BOUNDS, seconds)] += 1
            counters.batch_sizes[bisect(SIZE_BOUNDS, writes)] += 1
            counters.writes += writes
            counters.bytes_written += size

    @property
    def load_due_at(self) -> float:
        """When the row about the load of a minute is due, by `perf_counter`."""
        return self._load_due_at

    @load_due_at.setter
    def load_due_at(self, moment: float) -> None:
        self._load_due_at = moment
        self.due_at = min(self.due_at, moment)

    def tick(self, now: float) -> None:
        """Copy what was counted up to `now` (by `perf_counter`), once a second at most, and have the load recorded if that is due."""
        copied = self.counters.copy()
        if now >= self._load_due_at:
            self.on_load_due(now, copied)
        if now >= self.recent.next_at:
            self.recent.note(now, copied)
        self.due_at = min(self.recent.next_at, self._load_due_at)

    def committed(self, writes: int, size: int, seconds: float) -> None:
        """Count a batch that is durable.

        Args:
            writes: how many it had.
            size: their bytes.
            seconds: how long the database took.
        """
        now = perf_counter()
        if now >= self.due_at:
            self.tick(now)
        self._batches.append((writes, size, seconds))
        if self.metrics is not None:
            self.metrics.batch(writes, size, seconds)

    def stored_directly(self, size: int, seconds: float) -> None:
        """Count a write that its caller has stored, see `committed`. It began when the write did, so nothing is due."""
        self._batches.append((1, size, seconds))
        if self.metrics is not None:
            self.metrics.batch(1, size, seconds)
        if self.tracing is not None:
            self.tracing.stored_directly(seconds)

    def uploaded(self, size: int) -> None:
        """Count the bytes of an object that was stored in the blob backend."""
        self._counters.bytes_uploaded += size
        if self.metrics is not None:
            self.metrics.moved("upload", size)

    def downloaded(self, size: int) -> None:
        """Count the bytes of an object that was read from the blob backend."""
        self._counters.bytes_downloaded += size
        if self.metrics is not None:
            self.metrics.moved("download", size)

    def retried(self, family: Family) -> None:
        """Count an attempt that is repeated: on the database or on the blobs."""
        if family == "database":
            self._counters.retries += 1
        else:
            self._counters.blob_retries += 1
        if self.metrics is not None:
            self.metrics.retried(family)

    def reclaimed(self, operation: str, size: int) -> None:
        """Count bytes that a prune, a collection or a vacuum gave back."""
        if self.metrics is not None and size > 0:
            self.metrics.reclaimed(operation, size)

    # --- telling

    def searched(self, paths: Iterable[str]) -> None:
        """Count a filter that needs these paths of the tag index."""
        now = perf_counter()
        if now >= self.due_at:
            self.tick(now)
        counts = self._counters.searched
        for path in paths:
            if path in counts or len(counts) < _MAX_SEARCHED:
                counts[path] += 1

    def since_start(self) -> PeriodStats:
        """What was counted since the store was built."""
        return summary(self.counters.copy(), perf_counter() - self._started_at)

    def last_minute(self) -> PeriodStats:
        """What was counted in the last minute, or since the store was built if that is shorter ago."""
        now = perf_counter()
        self._count_noted()
        return summary(self.recent.counted(now), min(WINDOW_SECONDS, now - self._started_at))


def _ignore(_now: float, _counters: Counters) -> None:
    """Nobody records the load."""
