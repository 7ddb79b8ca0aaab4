"""Operations: those that succeed and fail are counted, those that are slow are logged with ids and nothing else."""

from __future__ import annotations

import asyncio
import logging
from time import perf_counter
from typing import Any

import pytest

from ckptstore.errors import DatabaseUnavailable, SchemaOutOfDate, StoreMoved
from ckptstore.monitoring.monitor import Monitor
from ckptstore.monitoring.settings import MonitoringSettings

SUBJECT = ("t", "ns", "c")


@pytest.fixture
def monitor() -> Monitor:
    return Monitor(MonitoringSettings(slow_write_seconds=10, slow_read_seconds=20))


def slow_events(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.__dict__ for record in caplog.records if record.__dict__.get("event") == "slow_operation"]


def test_durations_are_counted(monitor: Monitor) -> None:
    monitor.put.ended(perf_counter() - 5, SUBJECT)
    monitor.put.ended(perf_counter(), SUBJECT)
    stats = monitor.since_start()
    assert (stats.put.count, stats.put_writes.count, stats.get.count) == (2, 0, 0)
    assert stats.put.p99_seconds == pytest.approx(5, rel=0.1)
    assert stats.put.p50_seconds is not None
    assert stats.put.p50_seconds < 1
    assert monitor.last_minute().put.count == 2


def test_slow_ones_are_logged(monitor: Monitor, caplog: pytest.LogCaptureFixture) -> None:
    for operation in (monitor.put, monitor.put_writes, monitor.get, monitor.list, monitor.prune):
        operation.ended(perf_counter() - 15, SUBJECT)
    assert [event["operation"] for event in slow_events(caplog)] == ["put", "put_writes"]
    monitor.list.ended(perf_counter() - 25, ("t", None, None))
    event = slow_events(caplog)[-1]
    assert (event["operation"], event["thread_id"], event["checkpoint_ns"], event["checkpoint_id"]) == ("list", "t", None, None)
    assert event["seconds"] == pytest.approx(25, abs=5)
    assert event["levelno"] == logging.WARNING


def test_waiting_for_the_schema_is_not_slow(monitor: Monitor, caplog: pytest.LogCaptureFixture) -> None:
    started = perf_counter() - 100
    monitor.ready_at = perf_counter() - 3
    monitor.put.ended(started, SUBJECT)
    assert slow_events(caplog) == []
    assert monitor.since_start().put.p50_seconds == pytest.approx(100, rel=0.1)


def test_failures_are_counted_by_class(monitor: Monitor) -> None:
    monitor.put.failed(0, DatabaseUnavailable("down"))
    monitor.get.failed(0, DatabaseUnavailable("down"))
    monitor.get.failed(0, KeyError("x"))
    assert monitor.since_start().errors == {"DatabaseUnavailable": 2, "KeyError": 1}
    assert monitor.last_minute().errors == {"DatabaseUnavailable": 2, "KeyError": 1}


def test_the_first_refusal_of_each_class_is_logged(monitor: Monitor, caplog: pytest.LogCaptureFixture) -> None:
    monitor.prune.failed(0, StoreMoved("moved to B", "B"))
    for exc in (StoreMoved("moved to B", "B"), StoreMoved("moved to B", "B"), DatabaseUnavailable("down"), SchemaOutOfDate("old")):
        monitor.put_writes.failed(0, exc)
    events = [(record.levelname, vars(record)["event"], vars(record)["operation"], vars(record)["error"]) for record in caplog.records]
    assert events == [("WARNING", "operation_refused", "put_writes", name) for name in ("StoreMoved", "SchemaOutOfDate")]
    assert "moved to B" in caplog.records[0].getMessage()
    assert monitor.since_start().errors["StoreMoved"] == 3


def test_whoever_gives_up_is_no_failure(monitor: Monitor) -> None:
    for exc in (asyncio.CancelledError(), KeyboardInterrupt(), GeneratorExit()):
        monitor.put.failed(0, exc)
    assert monitor.since_start().errors == {}


def test_a_context_counts_what_runs_in_it(monitor: Monitor) -> None:
    with monitor.collect.observed():
        pass
    with pytest.raises(KeyError), monitor.collect.observed():
        raise KeyError
    assert sum(monitor.counters.collect) == 1
    assert monitor.counters.errors == {"KeyError": 1}


def test_the_error_of_a_part_is_counted_by_the_whole(monitor: Monitor) -> None:
    with pytest.raises(KeyError), monitor.upload.observed():
        raise KeyError
    assert monitor.counters.errors == {}
