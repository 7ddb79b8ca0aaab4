"""Batches that were stored, and what is told of them."""

from __future__ import annotations

from time import perf_counter

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


def test_a_write_and_its_batch_are_counted_in_the_same_minute() -> None:
    monitor = Monitor()
    started = perf_counter()
    monitor.tick(started)
    monitor.stored_directly(100, 0.002)
    monitor.put.ended(started, ("t", "", None))
    stats = monitor.last_minute()
    assert (stats.put.count, stats.commit.count, stats.writes, stats.bytes_written) == (1, 1, 1, 100)


def test_what_ends_more_than_a_minute_after_it_began_is_of_the_last_minute() -> None:
    monitor = Monitor()
    started = perf_counter() - 100
    monitor.tick(started)
    monitor.put.ended(started, ("t", "", None))
    monitor.collect.ended(started, ("t", "", None))
    assert monitor.last_minute().put.count == 1
    assert monitor.since_start().put.count == 1


def test_what_was_noted_is_counted_once() -> None:
    monitor = Monitor()
    for _ in range(3):
        monitor.put.ended(perf_counter(), ("t", "", None))
        assert monitor.since_start().put.count == monitor.since_start().put.count
    assert monitor.since_start().put.count == 3
    monitor._reset()
    assert monitor.since_start().put.count == 0


def test_a_second_has_its_notes_counted() -> None:
    monitor = Monitor()
    for number in range(5):
        monitor.tick(1_000.0 + number)
        assert sum(monitor._counters.put) == number
        monitor.put.ended(perf_counter(), ("t", "", None))
    assert monitor.due_at == 1_005.0
