"""When the wait for SQLite's lock is measured, by a clock that the test moves, and what is counted."""

from __future__ import annotations

import pytest

from ckptstore.monitoring import lock_waits
from ckptstore.monitoring.counters import Counters
from ckptstore.monitoring.lock_waits import LockWaits


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    times = [100.0]
    monkeypatch.setattr(lock_waits, "perf_counter", lambda: times[0])
    return times


def wait(waits: LockWaits, clock: list[float], seconds: float, error: Exception | None = None) -> None:
    with waits.measured():
        clock[0] += seconds
        if error is not None:
            raise error


def test_the_first_second_is_not_measured_and_each_later_one_once(clock: list[float]) -> None:
    waits = LockWaits(Counters())
    assert not waits.is_due
    waits.tick(100)
    assert not waits.is_due
    waits.tick(101)
    assert waits.is_due
    wait(waits, clock, 0)
    assert not waits.is_due


def test_waits_are_counted_in_vain_too(clock: list[float]) -> None:
    counters = Counters()
    waits = LockWaits(counters)
    wait(waits, clock, 0.25)
    with pytest.raises(OSError, match="locked"):
        wait(waits, clock, 0.75, OSError("locked"))
    assert (counters.lock_samples, counters.lock_microseconds) == (2, 1_000_000)


def test_long_waits_are_measured_rarely(clock: list[float]) -> None:
    waits = LockWaits(Counters())
    waits.tick(100)
    wait(waits, clock, 1)
    waits.tick(101 + 19.9)
    assert not waits.is_due
    waits.tick(101 + 20)
    assert waits.is_due
