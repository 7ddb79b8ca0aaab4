"""Counters as a record."""

from __future__ import annotations

from bisect import bisect

import pytest

from ckptstore.monitoring.counters import Counters
from ckptstore.monitoring.histogram import BOUNDS
from ckptstore.monitoring.summary import summary


def test_each_counter_has_its_field() -> None:
    counted = Counters()
    for number, name in enumerate(("put", "put_writes", "get", "list_page", "commit", "upload", "download"), start=1):
        getattr(counted, name)[bisect(BOUNDS, 2**number / 1_000)] += number
    stats = summary(counted, 5)
    found = (stats.put, stats.put_writes, stats.get, stats.list, stats.commit, stats.upload, stats.download)
    for number, latency in enumerate(found, start=1):
        assert latency.count == number
        assert latency.p50_seconds == latency.p99_seconds == pytest.approx(2**number / 1_000, rel=0.1)
    assert stats.seconds == 5
