"""Inserting rows that have all of a table's columns, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Insert, Table, select, text
from sqlalchemy.dialects import postgresql, sqlite

from ckptstore.db.sql.fragments import driver_type, resolve_conflict, unnest
from ckptstore.db.sql.tables import Row


def insert_rows(_database: str, count: int, table: Table, conflict: str) -> Insert:
    """Insert `count` rows in one statement (SQLite); its parameters are the cells of all rows, one row after the other."""
    names = [column.name for column in table.c]
    insert = sqlite.insert(table).from_select(names, cells(count, len(names)))
    made: Insert = resolve_conflict(insert, table, conflict)
    return made


def cells(count: int, width: int) -> Any:
    """`count` rows of `width` cells each, as positional parameters (SQLite).

    Written as text: to compile a parameter for each cell takes longer than to insert a thousand rows.
    """
    row = f"({', '.join('?' * width)})"
    return text(f"VALUES {', '.join([row] * count)}").columns()


def insert_arrays(_database: str, table: Table, conflict: str) -> Insert:
    """Insert rows given as one array a column (PostgreSQL), see `row_parameters`."""
    rows = unnest(table.name, [(column.name, driver_type(column)) for column in table.c])
    insert = postgresql.insert(table).from_select([column.name for column in table.c], select(*rows.c))
    made: Insert = resolve_conflict(insert, table, conflict)
    return made


def row_parameters(table: Table, rows: Sequence[Row]) -> dict[str, Any]:
    """The parameters of `insert_arrays`."""
    return column_arrays([column.name for column in table.c], rows, table.name)


def column_arrays(names: Sequence[str], rows: Sequence[Row], prefix: str) -> dict[str, Any]:
    """Rows turned into one list a column, by `<prefix>_<column>`."""
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return {f"{prefix}_{name}": list(values) for name, values in zip(names, columns, strict=True)}
