"""Turns at the lock of a SQLite file: who waits for it as SQLite does gets it, whatever the transactions of upkeep take."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, chain, repeat

import pytest
from sqlalchemy import make_url

from ckptstore.db.turns import LockTurns

FILE = make_url("sqlite:////tmp/c.sqlite")
# `sqliteDefaultBusyCallback`, in seconds.
DELAYS = [delay / 1000 for delay in (1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50)]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def held(turns: LockTurns, clock: Clock, seconds: float, until: float) -> Iterator[tuple[float, float]]:
    """From when until when upkeep holds the lock, whose transactions take so many seconds."""
    while clock.now < until:
        started = clock.now
        clock.now += seconds
        yield started, clock.now
        # What is between two transactions takes a moment.
        clock.now += turns.pause_after(seconds) + 0.0005


def wait(arrives: float, spans: list[tuple[float, float]]) -> float:
    """How long somebody waits for the lock who needs it from a time on."""
    for waited in accumulate(chain([0.0], DELAYS, repeat(0.1, 100))):
        if not any(start <= arrives + waited < end for start, end in spans):
            return waited
    raise AssertionError("never")


@pytest.mark.parametrize("seconds", [0.002, 0.0071, 0.03, 0.074, 0.11, 0.2, 0.35])
def test_whoever_waits_gets_the_lock_at_the_first_pause(seconds: float) -> None:
    clock = Clock()
    spans = list(held(LockTurns(FILE, clock), clock, seconds, 104.0))
    longest = max(wait(101.0 + number * 0.0013, spans) for number in range(700))
    # What is held without a pause, and the time until the waiting one tries again.
    assert longest <= (0.075 + seconds) * 1.5 + 0.03


def test_without_pauses_it_would_wait_for_long() -> None:
    spans = [(100 + number * 0.0305, 100 + number * 0.0305 + 0.03) for number in range(130)]
    assert max(wait(101.0 + number * 0.0013, spans) for number in range(700)) > 1


def test_upkeep_pauses_for_a_third_of_its_time() -> None:
    clock = Clock()
    spans = list(held(LockTurns(FILE, clock), clock, 0.01, 110.0))
    assert 0.6 < sum(end - start for start, end in spans) / 10 < 0.75


def test_a_short_transaction_after_a_long_gap_is_not_followed_by_a_pause() -> None:
    clock = Clock()
    turns = LockTurns(FILE, clock)
    for _ in range(20):
        clock.now += 0.07
        assert turns.pause_after(0.03) == 0


@pytest.mark.parametrize("url", ["sqlite:///:memory:", "sqlite://", "postgresql+asyncpg://host/db"])
def test_where_nobody_waits_for_such_a_lock_there_is_no_pause(url: str) -> None:
    assert LockTurns(make_url(url), lambda: 1.0).pause_after(5.0) == 0
