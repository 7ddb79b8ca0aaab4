"""Times as the database has them: whole microseconds in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy.dialects import sqlite

from ckptstore.db.times import UtcMicroseconds, to_microseconds

DIALECT = sqlite.dialect()


@pytest.mark.parametrize(
    ("time", "microseconds"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), 0),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1),
        # A float would round this one.
        (datetime(2261, 7, 4, 3, 2, 1, 987_653, tzinfo=UTC), 9_199_018_921_987_653),
        (datetime(1970, 1, 1, 0, 0, 1), 1_000_000),
    ],
)
def test_no_microsecond_is_lost_and_naive_times_are_utc(time: datetime, microseconds: int) -> None:
    assert to_microseconds(time) == microseconds
    stored = UtcMicroseconds().process_bind_param(time, DIALECT)
    assert stored == microseconds
    found = UtcMicroseconds().process_result_value(stored, DIALECT)
    assert found is not None
    assert (found, found.utcoffset()) == (time if time.tzinfo else time.replace(tzinfo=UTC), timedelta(0))


def test_null_stays_null() -> None:
    assert UtcMicroseconds().process_bind_param(None, DIALECT) is None
    assert UtcMicroseconds().process_result_value(None, DIALECT) is None
