"""The last minute, by a clock that the test moves."""

from __future__ import annotations

from collections import deque

import pytest

from ckptstore.monitoring.counters import Counters
from ckptstore.monitoring.recent import Recent, drain


class Counting:
    """Counts writes as a store does: a copy first, if one is due."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.recent = Recent(self.counters)

    def write(self, now: float) -> None:
        if now >= self.recent.next_at:
            self.recent.note(now, self.counters.copy())
        self.counters.writes += 1

    def recently(self, now: float) -> int:
        return self.recent.counted(now).writes


@pytest.fixture
def counting() -> Counting:
    return Counting()


def test_what_is_older_than_a_minute_does_not_count(counting: Counting) -> None:
    for second in range(1_000, 1_300):
        counting.write(second)
    assert counting.recently(1_299) == 60
    assert counting.recently(1_329) == 30
    assert counting.recently(1_400) == 0
    assert counting.counters.writes == 300


def test_a_burst_long_ago_is_not_recent_when_the_next_write_comes(counting: Counting) -> None:
    for _ in range(500):
        counting.write(1_000)
    counting.write(1_050)
    assert counting.recently(1_051) == 501
    counting.write(5_000)
    assert counting.recently(5_001) == 1


def test_a_store_that_is_seconds_old(counting: Counting) -> None:
    assert counting.recently(1_000) == 0
    counting.write(1_000)
    counting.write(1_000.5)
    assert counting.recently(1_001) == 2


def test_many_writes_a_second_are_one_copy(counting: Counting) -> None:
    for number in range(100_000):
        counting.write(1_000 + number / 1_000)
    assert len(counting.recent._copies) <= 62
    assert 59_000 <= counting.recently(1_100) <= 61_000


def test_two_that_drain_at_once_get_each_item_once() -> None:
    noted = deque(range(6))
    one, other = drain(noted), drain(noted)
    found = [next(one), next(other), next(one)]
    noted.append(6)
    assert found + list(one) + list(other) == list(range(7))
