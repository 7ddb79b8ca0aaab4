"""Parameters that hold many values: tables and lists as one JSON array on SQLite, as one array per column on PostgreSQL.

The text of a statement therefore never depends on how many values there are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Column, ColumnElement, Dialect, FromClause, Text, bindparam, func, literal_column, select

from ckptstore.db.sql.tables import OBJECT_KEY
from ckptstore.db.times import UtcMicroseconds


def as_sent(dialect: Dialect, text: str) -> str:
    """The text of a statement without parameters as the driver takes it: some read a percent sign as a parameter."""
    return text.replace("%", "%%") if dialect.paramstyle in ("format", "pyformat") else text


def keys_table(database: str, names: Sequence[str]) -> FromClause:
    """A table of keys with the given columns; `key_parameters` makes its parameters."""
    if database == "sqlite":
        return json_rows(bindparam("keys", type_=Text), names)
    return unnest("keys", [(name, Text()) for name in names])


def json_rows(listing: ColumnElement[Any], names: Sequence[str]) -> FromClause:
    """A table from a JSON array of rows (SQLite)."""
    rows = func.json_each(listing).table_valued("value", name="given")
    columns = [func.json_extract(rows.c.value, literal_column(f"'$[{index}]'")).label(name) for index, name in enumerate(names)]
    return select(*columns).subquery("keys")


def key_parameters(database: str, names: Sequence[str], rows: Iterable[Sequence[str]]) -> dict[str, Any]:
    """The parameters of a statement that takes a table of keys."""
    if database == "sqlite":
        return {"keys": json.dumps([list(row) for row in rows])}
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return {f"keys_{name}": list(column) for name, column in zip(names, columns, strict=True)}


def object_keys(database: str, given: Iterable[str]) -> dict[str, Any]:
    """The parameters of a statement that takes keys of objects."""
    return key_parameters(database, OBJECT_KEY, [(key,) for key in given])


def unnest(prefix: str, columns: Sequence[tuple[str, Any]]) -> FromClause:
    """A table from one array parameter per column (PostgreSQL): `prefix_column`, ..."""
    arrays = [bindparam(f"{prefix}_{name}", type_=ARRAY(type_)) for name, type_ in columns]
    return func.unnest(*arrays).table_valued(*[Column(name, type_) for name, type_ in columns], name=prefix).render_derived()


def driver_type(column: Column[Any]) -> Any:
    """The type of a column's parameter. Rows are built without SQLAlchemy's processing of values, so times are integers."""
    return BigInteger() if isinstance(column.type, UtcMicroseconds) else column.type
