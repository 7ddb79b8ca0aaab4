"""The types of a statement's results: on SQLite, a file that was altered or damaged may have a text for a number.

PostgreSQL enforces the types of its columns by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

from sqlalchemy import (
    Boolean,
    Cast,
    ClauseElement,
    Column,
    ColumnElement,
    CompoundSelect,
    Integer,
    Join,
    Label,
    LargeBinary,
    Select,
    Table,
    Text,
)
from sqlalchemy.sql import visitors
from sqlalchemy.types import TypeDecorator, TypeEngine

from ckptstore.errors import CheckpointCorrupt, DatabaseCorrupt

# JSON is left out: its readers parse it, and report what it is instead.
_TYPES: tuple[tuple[type[TypeEngine[Any]], type], ...] = ((Boolean, int), (Integer, int), (Text, str), (LargeBinary, bytes))
_NAMES = {int: "an integer", str: "a text", bytes: "bytes", float: "a floating-point number", type(None): "nothing"}
_NULL = type(None)


_BY_READER = "ckptstore_checked_by_reader"
#: Execution options of a statement whose readers compare each row, and say more about one that was altered.
CHECKED_BY_READER = {_BY_READER: True}


class CellType(NamedTuple):
    """One column of a result whose cells have one type."""

    position: int
    name: str
    python_type: type
    #: `python_type`, and that of None where the column may be null.
    allowed: frozenset[type]


def cell_types(statement: ClauseElement) -> Sequence[CellType]:
    """The types of a statement's results, as far as it says them; none where its readers check each row, see `CHECKED_BY_READER`.

    Of a UNION, whose columns mean something else in each part, it says none either.
    """
    if isinstance(statement, CompoundSelect) or (isinstance(statement, Select) and statement.get_execution_options().get(_BY_READER)):
        return ()
    # What a statement that changes rows returns is in its table.
    sources = statement.get_final_froms() if isinstance(statement, Select) else ()
    optional = {table for source in sources for table in _optional_tables(source)}
    return tuple(_known(getattr(statement, "exported_columns", ()), optional))


def _known(columns: Any, optional: Set[Table]) -> Iterator[CellType]:
    for position, column in enumerate(columns):
        found, stored = stored_type(column), _stored_column(column)
        if found is not None:
            never_null = stored is not None and not stored.nullable and stored.table not in optional
            name = "a computed column" if stored is None else f"{stored.table.name}.{stored.name}"
            yield CellType(position, name, found, frozenset({found} if never_null else {found, _NULL}))


def stored_type(column: ColumnElement[Any]) -> type | None:
    """The type of a column's cells as SQLite returns them; None of JSON and of what has no known type."""
    stored = column.type.impl if isinstance(column.type, TypeDecorator) else column.type
    return next((found for kind, found in _TYPES if isinstance(stored, kind)), None)


def _stored_column(column: Any) -> Column[Any] | None:
    """The column of a table that a result has the cells of, under its own or another name or type; None if it is computed."""
    while isinstance(column, (Cast, Label)):
        column = column.clause if isinstance(column, Cast) else column.element
    return column if isinstance(column, Column) and isinstance(column.table, Table) else None


def _optional_tables(source: Any) -> Iterator[Table]:
    """The tables whose columns are null where an outer join finds no row."""
    if isinstance(source, Join):
        yield from _optional_tables(source.left)
        yield from _optional_tables(source.right)
        if source.isouter or source.full:
            yield from (each for each in visitors.iterate(source if source.full else source.right) if isinstance(each, Table))


def require_types(expected: Sequence[CellType], rows: Sequence[Any], parameters: Mapping[str, Any]) -> None:
    """Return if every cell has the type of its column.

    Args:
        expected: the columns, from `cell_types`.
        rows: the result.
        parameters: of the statement; if they name a thread, so does the error.

    Raises:
        CheckpointCorrupt: a cell of a thread has another type.
        DatabaseCorrupt: so has a cell that belongs to no thread.
    """
    for cell in expected:
        found = {type(row[cell.position]) for row in rows}
        if not found <= cell.allowed:
            _refuse(cell, (found - cell.allowed).pop(), parameters.get("thread_id"))


def _refuse(cell: CellType, found: type, thread_id: str | None) -> None:
    is_what = f"{cell.name} is {_NAMES.get(found, found.__name__)} where {_NAMES[cell.python_type]} belongs"
    if thread_id is None:
        raise DatabaseCorrupt(
            f"{is_what}: a row of the database was altered or is damaged; find out more with averify(deep=True), restore a backup"
        )
    raise CheckpointCorrupt(f"thread {thread_id!r}: {is_what}, its row was altered; restore it from a backup, or delete the thread")
