"""Times as the database has them: integers, microseconds since 1970 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Dialect
from sqlalchemy.types import TypeDecorator

from ckptstore.errors import DatabaseCorrupt

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_microseconds(time: datetime) -> int:
    """Microseconds since 1970 in UTC, without rounding; a naive `datetime` counts as UTC."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def from_microseconds(microseconds: int) -> datetime:
    """The time in UTC, see `to_microseconds`.

    Raises:
        DatabaseCorrupt: no time of a checkpoint can be so early or late.
    """
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError as exc:
        raise DatabaseCorrupt(
            f"a time of {microseconds} microseconds since 1970: the row was altered or is damaged; restore a backup"
        ) from exc


class UtcMicroseconds(TypeDecorator[datetime]):
    """`datetime` in UTC in Python, microseconds since 1970 as a 64-bit integer on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_microseconds(value)
