"""Open connections of SQLite: used in turn, and lost rather than blocked where a caller is interrupted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from ckptstore.db.connection import Db
from ckptstore.db.runner import Work
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.sqlite_connections import NoConnection, SqliteConnections
from ckptstore.db.sqlite_engine import sqlite_engine
from ckptstore.db.sqlite_file import SqliteFile
from ckptstore.db.statement import Statements
from ckptstore.db.url import parse_database_url

MAX_IDLE = 2


@pytest.fixture
def closed() -> list[Db]:
    return []


@pytest.fixture
def connections(tmp_path: Path, closed: list[Db]) -> Iterator[SqliteConnections]:
    path = tmp_path / "c.sqlite"
    engine = sqlite_engine(parse_database_url(str(path)), DatabaseSettings())
    made = SqliteConnections(engine, Statements(engine.dialect, None), SqliteFile(str(path), lambda _size: True), MAX_IDLE, closed.append)
    yield made
    # What a worker thread would close.
    for db in closed:
        db.connection.close()
    made.close()
    engine.dispose()


def one(db: Db) -> int:
    found: int = db.execute("SELECT 1").scalar_one()
    return found


def test_a_caller_uses_only_a_connection_that_is_open(connections: SqliteConnections) -> None:
    with pytest.raises(NoConnection):
        connections.run_on_caller(connections.readers, one)
    assert connections.run(connections.readers, one) == 1
    [idle] = connections.readers
    assert connections.run_on_caller(connections.readers, one) == 1
    assert [*connections.readers] == [idle]
    assert not connections.writers


def failing(exception: type[BaseException]) -> Work[None]:
    def fail(_db: Db) -> None:
        raise exception

    return fail


def test_a_statement_that_fails_leaves_a_callers_connection_open(connections: SqliteConnections) -> None:
    connections.run(connections.writers, one)
    [idle] = connections.writers
    with pytest.raises(sqlite3.OperationalError):
        connections.run_on_caller(connections.writers, failing(sqlite3.OperationalError))
    assert [*connections.writers] == [idle]


@pytest.mark.parametrize("exception", [KeyboardInterrupt, KeyError])
def test_a_connection_is_closed_after_an_exception_that_may_be_a_signal_handlers(
    connections: SqliteConnections, closed: list[Db], exception: type[BaseException]
) -> None:
    connections.run(connections.writers, one)
    [idle] = connections.writers
    with pytest.raises(exception):
        connections.run_on_caller(connections.writers, failing(exception))
    assert closed == [idle]
    assert not connections.writers


def test_a_listener_sees_every_statement_so_callers_need_another_connection(connections: SqliteConnections) -> None:
    seen: list[str] = []
    connections.run(connections.readers, one)
    event.listen(connections._engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    with pytest.raises(NoConnection):
        connections.run_on_caller(connections.readers, one)
    connections.run(connections.readers, one)
    assert seen == ["SELECT 1"]


def test_no_more_than_a_few_stay_open_and_none_after_closing(connections: SqliteConnections) -> None:
    def nested(depth: int) -> None:
        if depth:
            connections.run(connections.readers, lambda _db: nested(depth - 1))

    nested(MAX_IDLE + 2)
    assert len(connections.readers) == MAX_IDLE
    connections.run_on_caller(connections.readers, lambda _db: connections.close())
    assert not connections.readers


@pytest.mark.parametrize("run", ["run", "run_on_caller"])
def test_a_connection_that_is_in_use_when_the_others_are_closed_is_closed_after_it(connections: SqliteConnections, run: str) -> None:
    def close(db: Db) -> Any:
        connections.close()
        used: Any = db.connection.connection.driver_connection
        assert used.execute("SELECT 1").fetchone() == (1,)
        return used

    connections.run(connections.readers, one)
    used = getattr(connections, run)(connections.readers, close)
    # Not only once nothing refers to it, of which Python 3.13 warns.
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        used.execute("SELECT 1")
