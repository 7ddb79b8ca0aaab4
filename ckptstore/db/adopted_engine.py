"""Opening the database of an engine that the caller owns."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from sqlalchemy import Engine, Pool, event
from sqlalchemy.engine.base import OptionEngine
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from ckptstore.db.async_runner import AsyncRunner
from ckptstore.db.postgres import configure_sessions, ping_when_idle
from ckptstore.db.runner import Runner
from ckptstore.db.schema_name import check_schema_name
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.sqlite_engine import configure_connections
from ckptstore.db.url import is_memory
from ckptstore.monitoring.monitor import Monitor

# SQLite's own default.
_WAL_AUTOCHECKPOINT = 1_000
_AUTOCOMMIT = {"isolation_level": "AUTOCOMMIT"}


def adopt_engine(engine: AsyncEngine, settings: DatabaseSettings, schema: str | None = None, monitor: Monitor | None = None) -> Runner:
    """The database of an engine that the caller owns.

    Connections belong to the event loop that opened them, so it gets a pool of our own, of the same class and with the same settings.
    Listeners, log settings and the way to connect are the engine's. SQLite in memory is its one connection, so the pool is shared.

    Raises:
        InvalidConfig: the database can't have a schema of this name.
    """
    check_schema_name(schema, engine.url)
    monitor = monitor or Monitor()
    if is_memory(engine.url):
        return AsyncRunner(engine.url, settings, schema, monitor, partial(engine.execution_options, **_AUTOCOMMIT), owned=False)
    return AsyncRunner(engine.url, settings, schema, monitor, partial(_with_own_pool, engine, settings))


def _with_own_pool(engine: AsyncEngine, settings: DatabaseSettings) -> AsyncEngine:
    ours = _EngineWithOwnPool(engine.sync_engine)
    event.listen(ours, "connect", _end_transaction)
    if engine.dialect.name == "sqlite":
        configure_connections(ours, settings, wal_autocheckpoint=_WAL_AUTOCHECKPOINT)
    else:
        # `pool_pre_ping` has no deadline of its own.
        ping_when_idle(ours, 0.0 if ours.pool._pre_ping else settings.pool_ping_after_seconds)
        ours.pool._pre_ping = False
        if settings.prepared_statements:
            configure_sessions(ours, settings)
    return AsyncEngine(ours)


def _end_transaction(dbapi_connection: Any, _entry: ConnectionPoolEntry) -> None:
    # A listener of the caller's may have begun one, and autocommit can't be switched on within it.
    dbapi_connection.commit()


class _EngineWithOwnPool(OptionEngine):
    """What `engine.execution_options()` makes, on another pool: listeners that are added to the engine later are called here too."""

    # An attribute that overrides the property, which would return the other engine's pool.
    pool: Pool = cast(Pool, None)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        super().__init__(engine, _AUTOCOMMIT)
        self.pool = engine.pool.recreate()

    @property
    def logger(self) -> Any:
        """The engine's logger, also after `engine.echo = True`."""
        return self._engine.logger

    @logger.setter
    def logger(self, _own: Any) -> None:
        """SQLAlchemy gives each engine a logger of its own; this one has none."""
