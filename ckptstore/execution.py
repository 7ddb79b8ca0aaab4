"""Running a statement's text: through SQLAlchemy on PostgreSQL, at the driver itself on SQLite.

SQLAlchemy's own execution and result cost several times what SQLite takes to run one of our statements. The connection
is the one that SQLAlchemy's pool gave; errors are the driver's and are translated where all errors are (`faults`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from sqlalchemy import Connection
from sqlalchemy.engine.interfaces import DBAPICursor


class Rows(Protocol):
    """What a statement answered: SQLAlchemy's result, as far as it is used (2.0 and 2.1 type its rows differently)."""

    @property
    def rowcount(self) -> int: ...
    def __iter__(self) -> Iterator[Sequence[Any]]: ...
    def all(self) -> Sequence[Sequence[Any]]: ...
    def scalar_one(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """All rows of a statement that SQLite ran: it holds no lock for a reader that goes slowly."""

    found: list[Sequence[Any]]
    rowcount: int

    def __iter__(self) -> Iterator[Sequence[Any]]:
        return iter(self.found)

    def all(self) -> Sequence[Sequence[Any]]:
        return self.found

    def scalar_one(self) -> Any:
        return self.found[0][0]


def execute(connection: Connection, text: str, values: Any = ()) -> Rows:
    """Run a text as the driver takes it."""
    if connection.dialect.name != "sqlite":
        return cast(Rows, connection.exec_driver_sql(text, values))
    cursor = _cursor(connection)
    cursor.execute(text, values)
    return Fetched(cast(list[Sequence[Any]], cursor.fetchall()), cursor.rowcount)


def execute_many(connection: Connection, text: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run a text once for each row of positional parameters, on SQLite."""
    _cursor(connection).executemany(text, rows)


def _cursor(connection: Connection) -> DBAPICursor:
    return connection.connection.cursor()
