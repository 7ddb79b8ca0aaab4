"""Records can be written as JSON, and not be changed."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import pytest

from ckptstore.monitoring.monitor import Monitor
from ckptstore.monitoring.records import HealthCheck, HealthReport, SaverStats


def test_stats_as_json() -> None:
    monitor = Monitor()
    monitor.put.failed(0, KeyError())
    period = monitor.since_start()
    stats = SaverStats(
        queue_depth=1, in_flight=2, queued_bytes=3, connections_in_use=4, connections_idle=5, connections_limit=6,
        since_start=period, last_minute=period,
    )  # fmt: skip
    found = json.loads(json.dumps(stats.to_dict()))
    assert found["since_start"]["put"] == {"count": 0, "p50_seconds": None, "p99_seconds": None}
    assert found["last_minute"]["errors"] == {"KeyError": 1}
    with pytest.raises(FrozenInstanceError):
        stats.in_flight = 0  # type: ignore[misc]


def test_a_report_is_true_if_every_check_passed() -> None:
    check = HealthCheck(name="schema", ok=False, message="why", seconds=0.5)
    report = HealthReport(ok=False, checks=(check,), seconds=0.5)
    assert not report
    assert json.loads(json.dumps(report.to_dict()))["checks"][0]["message"] == "why"
