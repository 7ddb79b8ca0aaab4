"""Statements that ask how far a standby is behind its primary (PostgreSQL)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Select, Text, bindparam, cast, column, func, literal_column, select
from sqlalchemy.types import UserDefinedType


class _LogPosition(UserDefinedType[str]):
    """PostgreSQL's `pg_lsn`: a position in the write-ahead log."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        return "pg_lsn"


def _microseconds(moment: Any) -> Any:
    return cast(func.extract("epoch", moment) * literal_column("1000000"), BigInteger)


def primary_position(_database: str) -> Select[Any]:
    """One row: the end of the primary's log as text, and its clock in microseconds since 1970."""
    return select(cast(func.pg_current_wal_lsn(), Text), _microseconds(func.clock_timestamp()))


def standby_position(_database: str) -> Select[Any]:
    """How far a standby has come.

    One row: whether it is a standby, how many bytes of log it has yet to replay to reach `:position`, and when the newest
    transaction that it has replayed was committed, by the primary's clock in microseconds since 1970. Null where it replayed nothing.
    """
    position = cast(cast(bindparam("position"), Text), _LogPosition)
    behind = func.pg_wal_lsn_diff(position, func.pg_last_wal_replay_lsn())
    return select(func.pg_is_in_recovery(), cast(behind, BigInteger), _microseconds(func.pg_last_xact_replay_timestamp()))


def cluster_identifier(_database: str) -> Select[Any]:
    """One row: the number that a primary and its standbys have in common, as text."""
    found = func.pg_control_system().table_valued(column("system_identifier", BigInteger))
    return select(cast(found.c.system_identifier, Text))
