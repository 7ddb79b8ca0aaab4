"""Times and numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ckptstore.langgraph.structure.as_text import plural

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_MOST_DAYS = 60


def moment(time: datetime) -> str:
    """A time in UTC, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def day(time: datetime) -> str:
    """The day of a time in UTC."""
    return time.astimezone(UTC).strftime("%Y-%m-%d")


def ago(time: datetime, now: datetime) -> str:
    """How long ago a time was, roughly: `just now`, `5 min ago`, `3 h ago`, `12 days ago`; an older one as its day."""
    passed = now - time
    if passed < _MINUTE:
        return "just now" if passed >= timedelta(0) else moment(time)
    if passed < _HOUR:
        return f"{passed // _MINUTE} min ago"
    if passed < _DAY:
        return f"{passed // _HOUR} h ago"
    if passed < _MOST_DAYS * _DAY:
        return plural(passed // _DAY, "day") + " ago"
    return day(time)


def count(number: int) -> str:
    """A number with commas."""
    return f"{number:,}"
