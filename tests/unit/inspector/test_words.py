"""Times and numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ckptstore.inspector.words import ago, count, day, moment
from ckptstore.langgraph.structure.as_text import plural

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 min ago"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=23), "23 h ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=59), "59 days ago"),
        (timedelta(days=60), "2025-12-31"),
        # The clock of who wrote it is ahead.
        (timedelta(hours=-1), "2026-03-01 13:00:00"),
    ],
)
def test_how_long_ago(passed: timedelta, said: str) -> None:
    assert ago(NOW - passed, NOW) == said


def test_times_are_in_utc() -> None:
    time = datetime(2026, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert (moment(time), day(time)) == ("2026-02-28 23:30:00", "2026-02-28")


def test_numbers() -> None:
    assert (count(1234567), plural(1, "day"), plural(0, "day"), plural(1200, "day")) == ("1,234,567", "1 day", "0 days", "1,200 days")
