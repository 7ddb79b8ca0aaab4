"""The engine for PostgreSQL."""

from __future__ import annotations

import math
import time
from typing import Any, TypeVar

from sqlalchemy import URL, Engine, NullPool, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext import asyncio as sqlalchemy_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.sqlstates import Discard, fault_of
from ckptstore.db.url import split_connect_args
from ckptstore.errors import InvalidUrl

T = TypeVar("T")


def postgres_engine(url: URL, settings: DatabaseSettings) -> AsyncEngine:
    """An asynchronous engine on PostgreSQL, in autocommit, with a pool of connections."""
    url, connect_args = split_connect_args(url)
    if url.drivername == "postgresql+psycopg":
        # Prepare at the first use, or never: every statement here is used again.
        connect_args["prepare_threshold"] = 0 if settings.prepared_statements else None
    elif not settings.prepared_statements:
        raise InvalidUrl("asyncpg always prepares statements; for prepared_statements=False use a postgresql+psycopg:// URL")
    engine = sqlalchemy_asyncio.create_async_engine(
        url,
        connect_args={**connect_args, **settings.connect_args},
        isolation_level="AUTOCOMMIT",
        pool_size=settings.pool_size,
        max_overflow=0,
        # The connection used last has the warmest caches; those that are not needed age past `pool_recycle`.
        pool_use_lifo=True,
        pool_recycle=int(settings.pool_recycle_seconds),
        hide_parameters=True,
    )
    ping_when_idle(engine.sync_engine, settings.pool_ping_after_seconds)
    if settings.prepared_statements:
        reuse_plans(engine.sync_engine)
    return engine


def reuse_plans(engine: Engine) -> None:
    """Let PostgreSQL keep one plan for each prepared statement of a new connection: planning a batch anew costs more than storing it.

    Set by a statement, since PgBouncer refuses it as a startup parameter. Nothing relies on it but speed.
    """

    @event.listens_for(engine, "connect")
    def keep_plans(dbapi_connection: Any, _entry: ConnectionPoolEntry) -> None:
        cursor = dbapi_connection.cursor()
        cursor.execute("SET plan_cache_mode = force_generic_plan")
        cursor.close()
        # The connection may not be in autocommit yet, and a transaction that is rolled back would take the setting along.
        dbapi_connection.commit()


def ping_when_idle(engine: Engine, idle_seconds: float) -> None:
    """Test a connection before use if it was idle for so long, or while another one was lost; a busy connection costs no round trip.

    After a fault that concerns every connection (`Discard.ALL`), those that were open are replaced without a test.

    Source: SQLAlchemy's `pool_pre_ping`, which tests at every checkout.
    """
    if isinstance(engine.pool, NullPool):
        return
    lost_at = usable_from = -math.inf

    @event.listens_for(engine, "connect")
    def record_opening(_connection: Any, entry: ConnectionPoolEntry) -> None:
        entry.info["opened_at"] = time.monotonic()

    @event.listens_for(engine, "invalidate")
    def record_loss(_connection: Any, _entry: ConnectionPoolEntry, exc: BaseException | None) -> None:
        # The server may have closed all of them.
        nonlocal lost_at, usable_from
        lost_at = time.monotonic()
        fault = exc and fault_of(exc)
        if fault and fault.discard is Discard.ALL:
            usable_from = lost_at

    @event.listens_for(engine, "checkin")
    def record_idle_since(_connection: Any, entry: ConnectionPoolEntry) -> None:
        entry.info["idle_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def look(dbapi_connection: Any, entry: ConnectionPoolEntry, _proxy: Any) -> None:
        if entry.info["opened_at"] <= usable_from:
            raise DisconnectionError("the server was read-only, or unusable in another way, for connections of that time")
        idle_since = entry.info.get("idle_since")
        if idle_since is not None and idle_since <= max(lost_at, time.monotonic() - idle_seconds):
            _ping(engine, dbapi_connection)


def _ping(engine: Engine, dbapi_connection: Any) -> None:
    try:
        alive = engine.dialect.do_ping(dbapi_connection)
    except engine.dialect.loaded_dbapi.Error as exc:
        raise DisconnectionError("the server closed an idle connection") from exc
    if not alive:
        raise DisconnectionError("the server closed an idle connection")
