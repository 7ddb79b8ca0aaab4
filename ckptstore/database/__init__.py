"""Running work on a database from anywhere: any thread, any event loop, or none.

Work is a plain function of a SQLAlchemy `Connection`, so that every query is written once. SQLite runs it on a
thread (one hop for a whole batch, where an async driver hops for every statement); PostgreSQL runs it on an event
loop of its own, under an async driver. Callers get a `concurrent.futures.Future`, and no call ever waits for the
caller's own thread or loop: a synchronous call beneath a running loop can't deadlock.
"""

from __future__ import annotations

from sqlalchemy import URL, Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from ckptstore.config import DatabaseSettings, is_memory
from ckptstore.database.on_loop import LoopDatabase
from ckptstore.database.on_thread import ThreadDatabase
from ckptstore.database.protocol import Database, Work
from ckptstore.engine import ping_when_idle, postgres_engine

__all__ = ["Database", "LoopDatabase", "ThreadDatabase", "Work", "adopt_engine", "open_database"]


def open_database(url: URL, settings: DatabaseSettings) -> Database:
    """The database of a URL that `parse_database_url` made. Connects at first use."""
    if url.get_backend_name() == "sqlite":
        return ThreadDatabase(url, settings)
    return LoopDatabase(url, settings, lambda: postgres_engine(url, settings))


def adopt_engine(engine: AsyncEngine, settings: DatabaseSettings) -> Database:
    """The database of an engine that the caller owns.

    A SQLite file is opened anew by its URL, the fast way. SQLite in memory is its one connection, so the engine itself
    is used. A server gets a pool of our own with the engine's settings: connections belong to the loop that opened them.
    """
    if engine.url.get_backend_name() != "sqlite":
        return LoopDatabase(engine.url, settings, lambda: _sibling(engine, settings))
    if is_memory(engine.url):
        return LoopDatabase(engine.url, settings, lambda: engine.execution_options(isolation_level="AUTOCOMMIT"), owned=False)
    return ThreadDatabase(engine.url, settings)


def _sibling(engine: AsyncEngine, settings: DatabaseSettings) -> AsyncEngine:
    theirs = engine.sync_engine
    ours = Engine(theirs.pool.recreate(), theirs.dialect, theirs.url, hide_parameters=True)
    ping_when_idle(ours, settings.pool_ping_after_seconds)
    return AsyncEngine(ours).execution_options(isolation_level="AUTOCOMMIT")
