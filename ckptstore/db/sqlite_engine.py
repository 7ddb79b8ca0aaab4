"""Engines of SQLite databases, and what their connections are set to."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import URL, Engine, StaticPool, event
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from ckptstore.db.busy_timeout import limit_wait
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.sqlite_url import read_only_parameters
from ckptstore.db.url import is_memory
from ckptstore.db.wal_checkpointer import MAX_PAGES

# SQLite's smallest page, in bytes: no database is shorter.
_SMALLEST_PAGE = 512


def sqlite_engine(url: URL, settings: DatabaseSettings, *, read_only: bool = False) -> Engine:
    """A synchronous engine on a SQLite file (or on memory: then one connection, shared).

    `SqliteConnections` bounds how many connections there are. They are in autocommit: transactions are opened by `Db.transaction()`, and
    only there.

    Args:
        url: of the database.
        settings: how to talk to it.
        read_only: open the file with `mode=ro`, so that SQLite refuses every write.
    """
    connect_args = {
        "cached_statements": 128,
        **settings.connect_args,
        # One thread at a time uses a connection, but not always the same one.
        "check_same_thread": False,
    }
    pool: dict[str, Any] = {"poolclass": StaticPool} if is_memory(url) else {"poolclass": QueuePool, "max_overflow": -1}
    # By its module: instrumentation replaces the function there.
    engine = sqlalchemy.create_engine(
        url.set(drivername="sqlite+pysqlite"),
        connect_args=connect_args,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        **pool,
    )
    if read_only:
        _open_read_only(engine, settings)
        return engine
    configure_connections(engine, settings, wal_autocheckpoint=MAX_PAGES)
    return engine


def _open_read_only(engine: Engine, settings: DatabaseSettings) -> None:
    """Let SQLite open the file for reading only, and leave it as it is: neither its journal mode nor its durability is set."""

    @event.listens_for(engine, "do_connect")
    def name_mode(_dialect: Any, _entry: ConnectionPoolEntry, arguments: list[Any], options: dict[str, Any]) -> None:
        path = str(engine.url.database)
        arguments[0] = f"{Path(path).absolute().as_uri()}?{read_only_parameters(path)}"
        options["uri"] = True

    @event.listens_for(engine, "connect")
    def configure(dbapi_connection: Any, entry: ConnectionPoolEntry) -> None:
        with closing(dbapi_connection.cursor()) as cursor:
            limit_wait(cursor, entry, settings)


def configure_connections(engine: Engine, settings: DatabaseSettings, *, wal_autocheckpoint: int) -> None:
    """Make every new connection durable, and a file usable by readers and a writer at the same time.

    Args:
        engine: of a SQLite database.
        settings: `synchronous` and `busy_timeout_seconds`.
        wal_autocheckpoint: pages of the write-ahead log at which a commit makes a checkpoint itself.
    """

    @event.listens_for(engine, "connect")
    def configure(dbapi_connection: Any, entry: ConnectionPoolEntry) -> None:
        cursor = dbapi_connection.cursor()
        limit_wait(cursor, entry, settings)
        if not is_memory(engine.url):
            cursor.execute("PRAGMA page_count")
            if cursor.fetchone()[0] == 0:
                # Before the first table: deleted pages can then be returned to the file system. Later it would only take the write lock.
                cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
            _switch_to_wal(cursor, min(settings.busy_timeout_seconds, settings.retry_seconds))
            cursor.execute(f"PRAGMA wal_autocheckpoint={wal_autocheckpoint}")
        cursor.execute(f"PRAGMA synchronous={settings.synchronous}")
        cursor.close()


def _switch_to_wal(cursor: Any, timeout_seconds: float) -> None:
    if _is_wal(cursor):
        return
    # The switch needs the file alone, and SQLite's busy handler does not wait for it: two processes that
    # open a fresh file at once would see 'database is locked'.
    for attempt in Retrying(
        retry=retry_if_exception(lambda exc: "locked" in str(exc)),
        stop=stop_after_delay(timeout_seconds),
        wait=wait_random(0.001, 0.02),
        reraise=True,
    ):
        with attempt:
            # Another process may have switched meanwhile.
            if not _is_wal(cursor):
                cursor.execute("PRAGMA journal_mode=WAL")


def _is_wal(cursor: Any) -> bool:
    cursor.execute("PRAGMA journal_mode")
    return bool(cursor.fetchone()[0] == "wal")


def holds_whole_database(engine: Engine, size: int) -> bool:
    """Whether a file of so many bytes has all pages of its database, apart from those that are still in the log."""
    if size < _SMALLEST_PAGE:
        # To open an empty file would delete its log.
        return False
    # A new connection: those that are open may have the pages in their caches.
    pool = engine.pool.recreate()
    try:
        with closing(pool.connect()) as connection, closing(connection.cursor()) as cursor:
            ((pages,),) = cursor.execute("PRAGMA page_count").fetchall()
            ((page_bytes,),) = cursor.execute("PRAGMA page_size").fetchall()
            # A shorter file may be complete, too: after a vacuum, the pages that are missing are in the log.
            return bool(size >= pages * page_bytes or cursor.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)])
    except sqlite3.DatabaseError:
        return False
    finally:
        pool.dispose()
