"""Statements that ask a database what the user of its connection may do, and what time it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, FromClause, Select, Text, bindparam, cast, func, literal_column, select

from ckptstore.db.sql.tables import THREAD
from ckptstore.db.sql.tag_layouts import has_numbers
from ckptstore.db.tag_tables import names_in

_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE")


def _rows_of(name: str, texts: Sequence[str]) -> FromClause:
    listed = ", ".join(f"'{text}'" for text in texts)
    return func.unnest(literal_column(f"ARRAY[{listed}]")).table_valued("name", name=name).render_derived()


def missing_privileges(database: str) -> Select[Any]:
    """(table, privilege) of what the user may not do with our tables, in the schema `:schema` or in the connection's own (PostgreSQL)."""
    tables = _rows_of("tables", names_in(on_sqlite=False, numbers_tags=has_numbers(database)))
    privileges = _rows_of("privileges", _PRIVILEGES)
    schema = func.coalesce(cast(bindparam("schema"), Text), func.current_schema())
    columns = (tables.c.name, privileges.c.name)
    allowed = func.has_table_privilege(func.format(literal_column("'%I.%I'"), schema, columns[0]), columns[1])
    pairs = tables.join(privileges, literal_column("true"))
    return select(*columns).select_from(pairs).where(~allowed).order_by(*columns)


def server_state(_database: str) -> Select[Any]:
    """Whether the server takes no writes, and why: it is in recovery (a standby), or transactions are read-only (PostgreSQL)."""
    return select(func.pg_is_in_recovery(), func.current_setting(literal_column("'transaction_read_only'")) == literal_column("'on'"))


def server_time(_database: str) -> Select[Any]:
    """The server's clock, in microseconds since 1970 (PostgreSQL)."""
    seconds = func.extract("epoch", func.clock_timestamp())
    return select(cast(seconds * literal_column("1000000"), BigInteger))


def newest_activity(_database: str) -> Select[Any]:
    """When something was stored last by the clock of its writer, in microseconds since 1970; null in an empty store."""
    return select(func.max(cast(THREAD.c.updated_at, BigInteger)))
