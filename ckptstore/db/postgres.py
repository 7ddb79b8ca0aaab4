"""The engine for PostgreSQL."""

from __future__ import annotations

import math
import re
import time
from typing import Any

from sqlalchemy import URL, Engine, NullPool, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext import asyncio as sqlalchemy_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from ckptstore.db.capabilities import HAS_CITUS
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.sqlstates import Discard, fault_of
from ckptstore.db.url import split_connect_args
from ckptstore.db.watch import current_watch
from ckptstore.errors import InvalidUrl

# Databases that talk like PostgreSQL, by what their version says.
_OTHERS_NAMES = {"CockroachDB": "CockroachDB", "-YB-": "YugabyteDB", "Redshift": "Amazon Redshift"}
_OTHERS = "|".join(_OTHERS_NAMES)
# A connection that takes longer to answer a test is replaced: to open another one costs less than to wait for it.
_PING_SECONDS = 2.0


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
    if url.drivername == "postgresql+asyncpg":
        configure_and_introduce(engine.sync_engine, settings)
    else:
        _require_postgresql_first(engine.sync_engine)
        if settings.prepared_statements:
            configure_sessions(engine.sync_engine, settings)
    return engine


def require_postgresql(version: str) -> None:
    """Return if a server calls itself PostgreSQL, with a number, and nothing else.

    Raises:
        InvalidUrl: it is another database that talks like PostgreSQL, or something between hides what it is.
    """
    other = re.search(_OTHERS, version)
    if other is None and re.match(r"PostgreSQL \d+", version):
        return
    what = _OTHERS_NAMES[other[0]] if other else "no PostgreSQL that ckptstore knows"
    raise InvalidUrl(f"the server is {what} (it says {version[:60]!r}); ckptstore runs on PostgreSQL, also with Citus, and on SQLite")


def _require_postgresql_first(engine: Engine) -> None:
    """Ask a server what it is before SQLAlchemy does, which fails with a traceback where it can't read a version."""
    dialect: Any = engine.dialect
    read_version = dialect._get_server_version_info

    def require_and_read(connection: Any) -> Any:
        require_postgresql(connection.exec_driver_sql("SELECT version()").scalar())
        return read_version(connection)

    dialect._get_server_version_info = require_and_read


def configure_sessions(engine: Engine, settings: DatabaseSettings) -> None:
    """Configure the session of every new connection.

    PostgreSQL keeps one plan for each prepared statement: planning a batch anew costs more than storing it. Citus has to see the
    values, which say to which node a statement goes. And PostgreSQL ends a session
    that does nothing within a transaction: its client has disconnected or is silent, and others wait for its locks.

    Set by a statement, since PgBouncer refuses both as startup parameters. Behind a pooler that gives each transaction another session
    they would reach other clients; PgBouncer's own `idle_transaction_timeout` does the same there.
    """
    statement = _session_settings(settings)

    @event.listens_for(engine, "connect")
    def configure(dbapi_connection: Any, _entry: ConnectionPoolEntry) -> None:
        cursor = dbapi_connection.cursor()
        cursor.execute(statement)
        cursor.close()
        # The connection may not be in autocommit yet, and a transaction that is rolled back would take the setting along.
        dbapi_connection.commit()


def _session_settings(settings: DatabaseSettings) -> str:
    idle_milliseconds = max(1, round(settings.attempt_seconds * 1000))
    return (
        f"SELECT set_config('plan_cache_mode', CASE WHEN {HAS_CITUS} THEN 'auto' ELSE 'force_generic_plan' END, false), "
        f"set_config('idle_in_transaction_session_timeout', '{idle_milliseconds}', false)"
    )


def configure_and_introduce(engine: Engine, settings: DatabaseSettings) -> None:
    """Like `configure_sessions`, and tell SQLAlchemy in the same round trip what it asks each new server in eight (asyncpg)."""
    statement = (
        f"{_session_settings(settings)}, current_setting('server_version_num')::int, current_schema()::text, "
        "current_setting('transaction_isolation'), current_setting('standard_conforming_strings'), version()"
    )
    dialect: Any = engine.dialect

    # Before SQLAlchemy's own listener asks.
    @event.listens_for(engine, "connect", insert=True)
    def configure(dbapi_connection: Any, _entry: ConnectionPoolEntry) -> None:
        found = dbapi_connection.run_async(lambda connection: connection.fetchrow(statement))
        _, _, version, schema, isolation_level, conforming_strings, name = found
        require_postgresql(name)
        # The hooks by which a dialect finds these out; one of another name would be asked for as before.
        dialect._get_server_version_info = lambda _: (version // 10_000, version % 10_000)
        dialect._get_default_schema_name = lambda _: schema
        dialect.get_default_isolation_level = lambda _: isolation_level.upper()
        dialect._set_backslash_escapes = lambda _: setattr(dialect, "_backslash_escapes", conforming_strings == "off")


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
        idle_since = entry.info.get("idle_since")
        if idle_since is None:
            # Opened for this use. To replace it too would end in an error of SQLAlchemy's: it tries twice.
            return
        if entry.info["opened_at"] <= usable_from:
            raise DisconnectionError("the server was read-only, or unusable in another way, for connections of that time")
        if idle_since <= max(lost_at, time.monotonic() - idle_seconds):
            _ping(engine, dbapi_connection)


def _ping(engine: Engine, dbapi_connection: Any) -> None:
    watch = current_watch.get()
    if watch is not None:
        watch.begin(dbapi_connection.driver_connection, _PING_SECONDS)
    try:
        alive = engine.dialect.do_ping(dbapi_connection)
    except engine.dialect.loaded_dbapi.Error as exc:
        raise DisconnectionError("the server closed an idle connection") from exc
    if not alive:
        raise DisconnectionError("the server closed an idle connection")
