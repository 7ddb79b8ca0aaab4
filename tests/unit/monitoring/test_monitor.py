"""Batches that were stored, and what is told of them."""

from __future__ import annotations

import pytest

from ckptstore.monitoring.monitor import Monitor


def test_batches_are_counted() -> None:
    monitor = Monitor()
    monitor.committed(1, 100, 0.002)
    monitor.committed(31, 900, 0.5)
    for stats in (monitor.since_start(), monitor.last_minute()):
        assert (stats.writes, stats.bytes_written, stats.commit.count) == (32, 1_000, 2)
        assert (stats.batch_sizes.mean, stats.batch_sizes.p50, stats.batch_sizes.p99) == (16, 1, 24)
        assert stats.commit.p99_seconds == pytest.approx(0.5, rel=0.1)


def test_a_monitor_that_counted_nothing() -> None:
    stats = Monitor().last_minute()
    assert (stats.commit.count, stats.commit.p50_seconds, stats.batch_sizes.mean, stats.batch_sizes.p99) == (0, None, None, None)
    assert 0 <= stats.seconds < 60


def test_a_child_process_counts_from_zero() -> None:
    monitor = Monitor()
    monitor.committed(1, 100, 0.002)
    monitor._reset()
    assert monitor.since_start().writes == monitor.last_minute().writes == 0
    monitor.committed(1, 100, 0.002)
    assert monitor.last_minute().writes == 1
