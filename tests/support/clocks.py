"""Clocks for tests: one that a test sets, and one that advances whenever it is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

START_OF_TIME = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Days:
    """A clock that changes only when a test sets it."""

    now: datetime = START_OF_TIME

    def __call__(self) -> datetime:
        return self.now

    def go_to(self, day: float) -> None:
        self.now = START_OF_TIME + timedelta(days=day)


class Clock:
    """A clock that advances by `step_seconds` whenever it is read."""

    def __init__(self, step_seconds: float = 1) -> None:
        self.now = START_OF_TIME
        self._step = timedelta(seconds=step_seconds)

    def __call__(self) -> datetime:
        self.now += self._step
        return self.now
