"""Counters of a period as the record that users get."""

from __future__ import annotations

from collections.abc import Sequence

from ckptstore.monitoring.counters import Counters
from ckptstore.monitoring.histogram import duration_at, size_at
from ckptstore.monitoring.records import BatchSizes, Latency, PeriodStats


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
