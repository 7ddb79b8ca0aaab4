"""Counters of a period as the record that users get."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ckptstore.monitoring.counters import Counters
from ckptstore.monitoring.histogram import duration_at, size_at
from ckptstore.monitoring.records import BatchSizes, Latency, PeriodStats
from ckptstore.tags.encoding import readable_path


def summary(counted: Counters, seconds: float) -> PeriodStats:
    """What was counted in a period of so many seconds."""
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
        batch_sizes=_batch_sizes(counted, batches),
        writes=counted.writes,
        bytes_written=counted.bytes_written,
        bytes_uploaded=counted.bytes_uploaded,
        bytes_downloaded=counted.bytes_downloaded,
        cache_hits=counted.cache_hits,
        cache_misses=counted.cache_misses,
        retries=counted.retries,
        blob_retries=counted.blob_retries,
        errors=dict(counted.errors),
        lock_wait_share=_lock_wait_share(counted, batches, seconds),
        searched=_searched(counted),
    )


def _batch_sizes(counted: Counters, batches: int) -> BatchSizes:
    mean = counted.writes / batches if batches else None
    return BatchSizes(mean=mean, p50=size_at(counted.batch_sizes, 0.5), p99=size_at(counted.batch_sizes, 0.99))


def _lock_wait_share(counted: Counters, commits: int, seconds: float) -> float | None:
    if not counted.lock_samples or not seconds:
        return None
    return min(1.0, counted.lock_microseconds / counted.lock_samples * commits / (seconds * 1_000_000))


def _searched(counted: Counters) -> dict[str, int]:
    found: Counter[str] = Counter()
    for path, count in counted.searched.items():
        found[readable_path(path)] += count
    return dict(found)


def _latency(counts: Sequence[int]) -> Latency:
    return Latency(count=sum(counts), p50_seconds=duration_at(counts, 0.5), p99_seconds=duration_at(counts, 0.99))
