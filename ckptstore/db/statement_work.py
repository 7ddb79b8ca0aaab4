"""Work that one statement does, nearly always: a runner may execute that statement at the driver itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Connection

from ckptstore.db.abilities import Abilities
from ckptstore.db.connection import Db
from ckptstore.db.statement import Statements
from ckptstore.db.watch import Watch

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")


class Call(NamedTuple):
    """A statement as the driver takes it."""

    text: str
    arguments: Any


class StatementWork(ABC, Generic[T]):
    """Work like any other: a function of a `Db`.

    For each attempt, a runner may ask for its statement, execute it, and pass the rows on. What is left then, if anything, is done by a
    call with a `Db`. So it saves what SQLAlchemy's connection, its adapter of the driver and the greenlet for both cost: as much as the
    statement itself.
    """

    @abstractmethod
    def __call__(self, db: Db) -> T:
        """Do all of it, or what was left by `result`."""

    @abstractmethod
    def statement(self, statements: Statements, abilities: Abilities) -> Call | None:
        """Begin an attempt; None if it must be called with a `Db`."""

    @abstractmethod
    def result(self, rows: Sequence[Any]) -> T | None:
        """The result, from the statement's rows; None if something is left to do."""

    @abstractmethod
    def recovers(self, exc: Exception) -> bool:
        """Whether a call with a `Db` does the work in spite of an error of the statement."""

    @abstractmethod
    def explain(self, exc: Exception) -> Exception:
        """The error to raise in place of the statement's, or that one itself."""


Fetch = Callable[[Any, Call], Awaitable[Sequence[Any]]]


async def fetch(driver_connection: Any, call: Call) -> Sequence[Any]:
    """Execute a statement on a connection of asyncpg's."""
    rows: Sequence[Any] = await driver_connection.fetch(call.text, *call.arguments)
    return rows


async def run_statement(
    connection: AsyncConnection, work: StatementWork[T], statements: Statements, abilities: Abilities, watch: Watch, fetch: Fetch = fetch
) -> T | None:
    """Begin an attempt of work, and execute its statement at asyncpg; returns its `result`, None where a `Db` is needed.

    Raises:
        ConnectionLost: the connection is unusable, and never used again.
    """
    call = work.statement(statements if abilities.statements is None else abilities.statements, abilities)
    if call is None:
        return None
    try:
        rows = await fetch(driver_connection_of(connection), call)
    except Exception as exc:
        await connection.run_sync(_discard_if_lost, statements, exc)
        if work.recovers(exc):
            return None
        explained = work.explain(exc)
        if explained is exc:
            raise
        raise explained from exc
    except BaseException:
        # Cancelled while it ran: the server's answer may still arrive on this connection.
        await connection.invalidate()
        raise
    watch.answers += 1
    return work.result(rows)


def _discard_if_lost(connection: Connection, statements: Statements, exc: Exception) -> None:
    Db(connection, statements).discard_if_lost(exc)


def driver_connection_of(connection: AsyncConnection) -> Any:
    """The driver's own connection."""
    sync_connection = connection.sync_connection
    assert sync_connection is not None
    return sync_connection.connection.driver_connection
