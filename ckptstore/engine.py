"""Engines: how connections are opened, tuned, pooled and checked. Nothing here knows a table."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, StaticPool, create_engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from ckptstore.config import DatabaseSettings, is_memory, split_server_settings
from ckptstore.errors import InvalidUrl
from ckptstore.execution import execute
from ckptstore.wal import MOST_PAGES

_BEGIN_WRITING = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "BEGIN"}
# Our statements choose their own order (a driving table, arrays of keys): one plan serves every value, and planning the
# batch statement anew each time costs more than running it. Rows are found by keys, a few of many: a plan that was made
# while a table was small must not go on reading all of it.
_PLANNING = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}
_BEGIN_READING = {"sqlite": "BEGIN", "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"}


def sqlite_engine(url: URL, settings: DatabaseSettings) -> Engine:
    """A synchronous engine on a SQLite file (or on memory: then one connection, shared).

    Connections are in autocommit: transactions are opened by `transaction()`, and only there.
    """
    connect_args = {
        "check_same_thread": False,
        "timeout": settings.busy_timeout_seconds,
        "cached_statements": 256,
        **settings.connect_args,
    }
    pool: dict[str, Any] = {"poolclass": StaticPool} if is_memory(url) else {"poolclass": QueuePool, "pool_size": settings.pool_size + 1}
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        connect_args=connect_args,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        **pool,
    )

    @event.listens_for(engine, "connect")
    def tune(dbapi_connection: Any, _entry: ConnectionPoolEntry) -> None:
        cursor = dbapi_connection.cursor()
        if not is_memory(url):
            # Before the first table: deleted pages can then be given back to the file system.
            cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
            _switch_to_wal(cursor, settings.busy_timeout_seconds)
            cursor.execute(f"PRAGMA wal_autocheckpoint={MOST_PAGES}")
        cursor.execute(f"PRAGMA synchronous={settings.synchronous}")
        cursor.close()

    return engine


def _switch_to_wal(cursor: Any, timeout_seconds: float) -> None:
    # The switch needs the file alone, and SQLite's busy handler does not wait for it: two processes that
    # open a fresh file at once would see 'database is locked'.
    for attempt in Retrying(
        retry=retry_if_exception(lambda exc: "locked" in str(exc)),
        stop=stop_after_delay(timeout_seconds),
        wait=wait_random(0.001, 0.02),
        reraise=True,
    ):
        with attempt:
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                cursor.execute("PRAGMA journal_mode=WAL")


def postgres_engine(url: URL, settings: DatabaseSettings) -> AsyncEngine:
    """An asynchronous engine on PostgreSQL, in autocommit, with a pool that works in parallel."""
    url, connect_args = split_server_settings(url)
    if url.drivername == "postgresql+psycopg":
        # Prepared from the first use on, or never: every statement of ours is used again.
        connect_args["prepare_threshold"] = 0 if settings.prepared_statements else None
        if settings.prepared_statements and "options" not in url.query:
            connect_args["options"] = " ".join(f"-c {name}={value}" for name, value in _PLANNING.items())
    elif settings.prepared_statements:
        connect_args["server_settings"] = _PLANNING | connect_args.get("server_settings", {})
    else:
        raise InvalidUrl("asyncpg always prepares statements; without them, use a postgresql+psycopg:// URL")
    engine = create_async_engine(
        url,
        connect_args={**connect_args, **settings.connect_args},
        isolation_level="AUTOCOMMIT",
        pool_size=settings.pool_size,
        max_overflow=0,
        # The connection used last has the warmest caches, and those that are not needed get old and go.
        pool_use_lifo=True,
        pool_recycle=int(settings.pool_recycle_seconds),
        hide_parameters=True,
    )
    ping_when_idle(engine.sync_engine, settings.pool_ping_after_seconds)
    return engine


def ping_when_idle(engine: Engine, idle_seconds: float) -> None:
    """Test a connection before use, but only when it was idle, for long or while another was lost: a busy one costs no round trip.

    Source: SQLAlchemy's `pool_pre_ping`, which tests at every checkout.
    """
    if isinstance(engine.pool, NullPool):
        return
    lost_at = -math.inf

    @event.listens_for(engine, "invalidate")
    def note(_connection: Any, _entry: ConnectionPoolEntry, _exc: BaseException | None) -> None:
        # The server may have gone for all of them.
        nonlocal lost_at
        lost_at = time.monotonic()

    @event.listens_for(engine, "checkin")
    def remember(_connection: Any, entry: ConnectionPoolEntry) -> None:
        entry.info["idle_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def test(dbapi_connection: Any, entry: ConnectionPoolEntry, _proxy: Any) -> None:
        idle_since = entry.info.get("idle_since")
        if idle_since is None or idle_since > max(lost_at, time.monotonic() - idle_seconds):
            return
        try:
            alive = engine.dialect.do_ping(dbapi_connection)
        except engine.dialect.loaded_dbapi.Error as exc:
            raise DisconnectionError("the server closed an idle connection") from exc
        if not alive:
            raise DisconnectionError("the server closed an idle connection")


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """All or nothing, on a connection in autocommit. On SQLite it holds the write lock from the start."""
    with _between(connection, _BEGIN_WRITING):
        yield


@contextmanager
def rolled_back(connection: Connection) -> Iterator[None]:
    """As `transaction`, but nothing of it stays."""
    execute(connection, _BEGIN_WRITING[connection.dialect.name])
    try:
        yield
    finally:
        _roll_back(connection)


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """Several reads of one state of the database. A single statement is a snapshot by itself."""
    with _between(connection, _BEGIN_READING):
        yield


@contextmanager
def _between(connection: Connection, begin: dict[str, str]) -> Iterator[None]:
    execute(connection, begin[connection.dialect.name])
    try:
        yield
        execute(connection, "COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def _roll_back(connection: Connection) -> None:
    if connection.invalidated:
        return
    try:
        if connection.dialect.name == "sqlite":
            # The driver knows whether a transaction is open; a ROLLBACK without one would be an error.
            connection.connection.rollback()
        else:
            execute(connection, "ROLLBACK")
    except Exception:
        # The error that led here is the one to report; a connection in doubt never returns to the pool.
        connection.invalidate()
