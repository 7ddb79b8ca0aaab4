"""Inserts of rows that have all of a table's columns, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Insert, Table, Update, bindparam, case, literal_column, null, or_, select, text, update
from sqlalchemy.dialects import sqlite

from ckptstore.db.sql.parameters import driver_type, unnest
from ckptstore.db.sql.tables import TAG, Row

_TOUCH_MICROSECONDS = 1_000_000
# The longest multi-row INSERT on SQLite.
_MAX_INSERT_ROWS = 64


def insert_rows(_database: str, count: int, table: Table, conflict: str) -> Insert:
    """Insert `count` rows in one statement (SQLite); its parameters are the cells of all rows, one row after the other."""
    names = [column.name for column in table.c]
    insert = sqlite.insert(table).from_select(names, cells(count, len(names)))
    made: Insert = resolve_conflict(insert, table, conflict)
    return made


def cells(count: int, width: int) -> Any:
    """`count` rows of `width` cells each, as positional parameters (SQLite).

    Written as text: compiling a parameter for each cell takes longer than inserting a thousand rows.
    """
    row = f"({', '.join('?' * width)})"
    return text(f"VALUES {', '.join([row] * count)}").columns()


def insert_arrays(_database: str, table: Table, conflict: str) -> Insert:
    """Insert rows given as one array per column (PostgreSQL), see `row_parameters`."""
    rows = unnest(table.name, [(column.name, driver_type(column)) for column in table.c])
    insert = _postgresql_insert(table).from_select([column.name for column in table.c], select(*rows.c))
    made: Insert = resolve_conflict(insert, table, conflict)
    return made


def _postgresql_insert(table: Table) -> Any:
    # Loaded at its first use: the dialect is a tenth of the time of `import ckptstore`, and SQLite does not need it.
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def row_parameters(table: Table, rows: Sequence[Row]) -> dict[str, Any]:
    """The parameters of `insert_arrays`."""
    return column_arrays([column.name for column in table.c], rows, table.name)


def insert_values(_database: str, count: int, table: Table, conflict: str) -> Insert:
    """Insert `count` rows in one statement (PostgreSQL), whose parameters `value_parameters` makes: a cell each.

    For databases that send rows elsewhere: where rows come from a query, Citus says of all of them that they were inserted.
    """
    rows = [{c.name: bindparam(f"{c.name}_{number}", type_=driver_type(c)) for c in table.c} for number in range(count)]
    made: Insert = resolve_conflict(_postgresql_insert(table).values(rows), table, conflict)
    return made


def value_parameters(table: Table, rows: Sequence[Row]) -> dict[str, Any]:
    """The parameters of `insert_values`."""
    names = [column.name for column in table.c]
    return {f"{name}_{number}": cell for number, row in enumerate(rows) for name, cell in zip(names, row, strict=True)}


def column_arrays(names: Sequence[str], rows: Sequence[Row], prefix: str) -> dict[str, Any]:
    """Rows turned into one list per column, by `<prefix>_<column>`."""
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return {f"{prefix}_{name}": list(values) for name, values in zip(names, columns, strict=True)}


def insert_into(database: str, table: Table) -> Any:
    """An insert with the database's own ON CONFLICT."""
    return sqlite.insert(table) if database == "sqlite" else _postgresql_insert(table)


def resolve_conflict(insert: Any, table: Table, conflict: str) -> Any:
    """Say what happens if a row with the same key exists.

    `keep` the existing row; `replace` it; `replace_object`: replace it if its bytes are in an object; `add_up`: add to a thread's
    counters. `add_up` ignores activity within a second of the recorded one: the index on that time would change with every write.
    `add_counts` ignores all activity, see `touch_thread`.
    """
    key = [column.name for column in table.primary_key]
    if table is TAG and isinstance(insert, sqlite.Insert):
        # A view, whose trigger keeps existing rows.
        return insert
    if conflict == "keep":
        return insert.on_conflict_do_nothing(index_elements=key)
    if conflict == "add_up":
        return _added_up(insert, table, key)
    if conflict == "add_counts":
        sums = _sums(insert, table)
        return insert.on_conflict_do_update(index_elements=key, set_=sums, where=insert.excluded.checkpoint_count != literal_column("0"))
    # The object may be lost, or not in this store's backend; the segment that was just sent is available.
    where = table.c.object_key.is_not(null()) if conflict == "replace_object" else None
    others = {column.name: insert.excluded[column.name] for column in table.c if column.name not in key}
    return insert.on_conflict_do_update(index_elements=key, set_=others, where=where)


def _added_up(insert: Any, threads: Table, key: Sequence[str]) -> Any:
    new = insert.excluded
    later = new.updated_at > threads.c.updated_at + literal_column(str(_TOUCH_MICROSECONDS), BigInteger)
    updated_at = case((later, new.updated_at), else_=threads.c.updated_at)
    # PostgreSQL also writes an unchanged row, to lock it. SQLite has no row locks.
    where = or_(later, new.checkpoint_count != literal_column("0")) if isinstance(insert, sqlite.Insert) else None
    return insert.on_conflict_do_update(index_elements=list(key), set_={"updated_at": updated_at, **_sums(insert, threads)}, where=where)


def _sums(insert: Any, threads: Table) -> dict[str, Any]:
    return {name: threads.c[name] + insert.excluded[name] for name in ("checkpoint_count", "size")}


def touch_thread(threads: Table, thread_id: ColumnElement[Any], now: ColumnElement[Any]) -> Update:
    """Note a thread's activity, if it is a second after the recorded one (SQLite).

    SQLite writes the index on that time even where the time stays the same, as part of an upsert it would be in every put.
    """
    is_later = now > threads.c.updated_at + literal_column(str(_TOUCH_MICROSECONDS), BigInteger)
    return update(threads).where(threads.c.thread_id == thread_id, is_later).values(updated_at=now)


def in_powers_of_two(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Split rows into few parts of few lengths: each length is compiled once, and each statement releases the interpreter's lock."""
    start = 0
    while start < len(rows):
        length = min(_MAX_INSERT_ROWS, 1 << (len(rows) - start).bit_length() - 1)
        yield rows[start : start + length]
        start += length
