"""Running a statement's text at the driver's own cursor.

SQLAlchemy's own execution and result cost several times what SQLite takes to run one of our statements, and a third of what
PostgreSQL does. The connection is the one that SQLAlchemy's pool gave; errors are the driver's and are translated where all
errors are (`faults`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection
from sqlalchemy.engine.interfaces import DBAPICursor

from ckptstore.faults import ConnectionLost

# PostgreSQL's words for a statement that was prepared before a change of schema, and asyncpg's.
_STALE_STATEMENT = ("cached plan must not change", "cached statement plan is invalid")


@dataclass(frozen=True, slots=True)
class Rows:
    """All that a statement answered: nothing is held open for a reader that goes slowly."""

    found: Sequence[Sequence[Any]]
    rowcount: int

    def __iter__(self) -> Iterator[Sequence[Any]]:
        return iter(self.found)

    def all(self) -> Sequence[Sequence[Any]]:
        """The rows."""
        return self.found

    def scalar_one(self) -> Any:
        """The first value of the first row."""
        return self.found[0][0]


def execute(connection: Connection, text: str, values: Any = ()) -> Rows:
    """Run a text as the driver takes it.

    Raises:
        ConnectionLost: from the driver's error; the connection never returns to the pool.
    """
    cursor = _cursor(connection)
    try:
        cursor.execute(text, values)
        return Rows(cast(Sequence[Sequence[Any]], cursor.fetchall()), cursor.rowcount)
    except Exception as exc:
        if _is_lost(connection, exc):
            connection.invalidate(exc)
            raise ConnectionLost from exc
        raise
    except BaseException:
        # Cancelled midway: an answer may still be on its way.
        connection.invalidate()
        raise


def _cursor(connection: Connection) -> DBAPICursor:
    return connection.connection.cursor()


def _is_lost(connection: Connection, exc: Exception) -> bool:
    """Whether a connection is of no more use: it was closed, or what it had prepared is older than a change of schema."""
    if connection.invalidated or any(words in str(exc) for words in _STALE_STATEMENT):
        return True
    return connection.dialect.is_disconnect(cast(Any, exc), connection.connection.dbapi_connection, None)
