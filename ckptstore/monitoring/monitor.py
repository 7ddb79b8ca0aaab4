"""What a store tells about itself: it is made with the connection to the database, and everything above counts in it."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Sequence
from time import perf_counter

from ckptstore.monitoring.counters import Counters
from ckptstore.monitoring.histogram import BOUNDS, SIZE_BOUNDS, duration_at, size_at
from ckptstore.monitoring.operation import Operation
from ckptstore.monitoring.recent import WINDOW_SECONDS, Recent
from ckptstore.monitoring.records import BatchSizes, Latency, PeriodStats
from ckptstore.monitoring.settings import MonitoringSettings
from ckptstore.runtime.fork import in_child


class Monitor:
    """Counts what is done on one database by one store.

    Args:
        settings: what is slow.
    """

    def __init__(self, settings: MonitoringSettings | None = None) -> None:
        settings = settings or MonitoringSettings()
        self.counters = counters = Counters()
        self.recent = Recent(counters)
        self._started_at = perf_counter()
        #: When the schema was found to fit, by `perf_counter`: what waited for that was not slow by itself.
        self.ready_at = -math.inf
        #: When the last batch was durable, by `perf_counter`.
        self.committed_at = -math.inf
        write, read = settings.slow_write_seconds, settings.slow_read_seconds
        self.put = Operation(self, "put", counters.put, write)
        self.put_writes = Operation(self, "put_writes", counters.put_writes, write)
        self.get = Operation(self, "get", counters.get, read)
        #: One page of a listing.
        self.list = Operation(self, "list", counters.list_page, read)
        self.upload = Operation(self, "upload", counters.upload, is_part=True)
        self.download = Operation(self, "download", counters.download, is_part=True)
        self.prune = Operation(self, "prune", counters.prune)
        self.collect = Operation(self, "collect", counters.collect)
        self.transfer = Operation(self, "transfer", counters.transfer)
        in_child(self._reset)

    def _reset(self) -> None:
        # A child of fork counts what it does itself.
        self.counters.reset()
        self.recent.reset()
        self._started_at = perf_counter()
        self.committed_at = -math.inf

    def committed(self, writes: int, size: int, seconds: float) -> None:
        """Count a batch that is durable.

        Args:
            writes: how many it had.
            size: their bytes.
            seconds: how long the database took.
        """
        self.committed_at = now = perf_counter()
        if now >= self.recent.next_at:
            self.recent.note(now)
        counters = self.counters
        counters.commit[bisect(BOUNDS, seconds)] += 1
        counters.batch_sizes[bisect(SIZE_BOUNDS, writes)] += 1
        counters.writes += writes
        counters.bytes_written += size

    def since_start(self) -> PeriodStats:
        """What was counted since the store was built."""
        return _stats(self.counters.copy(), perf_counter() - self._started_at)

    def last_minute(self) -> PeriodStats:
        """What was counted in the last minute, or since the store was built if that is shorter ago."""
        now = perf_counter()
        return _stats(self.recent.counted(now), min(WINDOW_SECONDS, now - self._started_at))


def _stats(counted: Counters, seconds: float) -> PeriodStats:
    batches = sum(counted.commit)
    return PeriodStats(
        seconds=seconds,
        put=_latency(counted.put),
        put_writes=_latency(counted.put_writes),
        get=_latency(counted.get),
        list=_latency(counted.list_page),
        commit=_latency(counted.commit),
        upload=_latency(counted.upload),
        download=_latency(counted.download),
        batch_sizes=BatchSizes(
            mean=counted.writes / batches if batches else None,
            p50=size_at(counted.batch_sizes, 0.5),
            p99=size_at(counted.batch_sizes, 0.99),
        ),
        writes=counted.writes,
        bytes_written=counted.bytes_written,
        bytes_uploaded=counted.bytes_uploaded,
        bytes_downloaded=counted.bytes_downloaded,
        cache_hits=counted.cache_hits,
        cache_misses=counted.cache_misses,
        retries=counted.retries,
        blob_retries=counted.blob_retries,
        errors=dict(counted.errors),
    )


def _latency(counts: Sequence[int]) -> Latency:
    return Latency(count=sum(counts), p50_seconds=duration_at(counts, 0.5), p99_seconds=duration_at(counts, 0.99))
