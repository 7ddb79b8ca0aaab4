"""Opening a database: from a URL, or beside an engine that the caller owns."""

from __future__ import annotations

from sqlalchemy import URL, Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from ckptstore.db.postgres import AsyncRunner, ping_when_idle, postgres_engine
from ckptstore.db.runner import Runner
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.sqlite import SqliteRunner
from ckptstore.db.url import is_memory


def open_database(url: URL, settings: DatabaseSettings, schema: str | None = None) -> Runner:
    """The database of a URL that `parse_database_url` made. Connects at first use.

    Args:
        url: which database.
        settings: how to talk to it.
        schema: the PostgreSQL schema of the tables, or None for the connection's own.
    """
    if url.get_backend_name() == "sqlite":
        return SqliteRunner(url, settings, schema)
    return AsyncRunner(url, settings, schema, lambda: postgres_engine(url, settings))


def adopt_engine(engine: AsyncEngine, settings: DatabaseSettings, schema: str | None = None) -> Runner:
    """The database of an engine that the caller owns.

    A SQLite file is opened anew by its URL, the fast way. SQLite in memory is its one connection, so the engine itself
    is used. A server gets a pool of our own with the engine's settings: connections belong to the loop that opened them.
    """
    if engine.url.get_backend_name() != "sqlite":
        return AsyncRunner(engine.url, settings, schema, lambda: _sibling(engine, settings))
    if is_memory(engine.url):
        return AsyncRunner(engine.url, settings, schema, lambda: engine.execution_options(isolation_level="AUTOCOMMIT"), owned=False)
    return SqliteRunner(engine.url, settings, schema)


def _sibling(engine: AsyncEngine, settings: DatabaseSettings) -> AsyncEngine:
    theirs = engine.sync_engine
    ours = Engine(theirs.pool.recreate(), theirs.dialect, theirs.url, hide_parameters=True)
    ping_when_idle(ours, settings.pool_ping_after_seconds)
    return AsyncEngine(ours).execution_options(isolation_level="AUTOCOMMIT")
