"""Statements on the load that savers had."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Delete, Select, Text, bindparam, cast, delete, select

from ckptstore.db.sql.tables import LOAD


def delete_before(_database: str) -> Delete:
    """Delete the rows whose minute began before `before`, in microseconds since 1970."""
    return delete(LOAD).where(LOAD.c.started_at < bindparam("before", type_=BigInteger))


def rows_since(_database: str) -> Select[Any]:
    """The rows whose minute began at `since`, in microseconds since 1970, or later; oldest first, without the searched keys."""
    columns = [cast(LOAD.c.started_at, BigInteger), *[column for column in LOAD.c if column.name not in ("started_at", "searched")]]
    return select(*columns).where(LOAD.c.started_at >= bindparam("since", type_=BigInteger)).order_by(LOAD.c.started_at, LOAD.c.process)


def searched_since(_database: str) -> Select[Any]:
    """The searched keys of those rows, as JSON, each text once."""
    since = LOAD.c.started_at >= bindparam("since", type_=BigInteger)
    return select(cast(LOAD.c.searched, Text)).where(since).distinct()
