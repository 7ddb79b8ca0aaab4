"""PostgreSQL: its engine, and a runner on an event loop of its own. The runner also serves SQLite behind an engine of the caller's."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, NullPool, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from ckptstore.db.handle import Db
from ckptstore.db.retries import Retries
from ckptstore.db.runner import Work
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.statement import Statements
from ckptstore.db.url import split_server_settings
from ckptstore.errors import InvalidUrl
from ckptstore.runtime.fork import abandon, in_child
from ckptstore.runtime.loop_thread import LoopThread, selector_loop

T = TypeVar("T")

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

# A connection that writes is kept for the next batch, for so long: one that nobody needs belongs to the pool.
_KEPT_SECONDS = 1.0
# Now and then it goes back while it is busy too: the pool replaces those that are old.
_MOST_USES = 1_000


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


class AsyncRunner:
    """A database behind an async driver, on an event loop and a thread of its own."""

    may_wait = False

    def __init__(
        self, url: URL, settings: DatabaseSettings, schema: str | None, make_engine: Callable[[], AsyncEngine], *, owned: bool = True
    ) -> None:
        self.url = url
        self._settings = settings
        self._schema = schema
        self._make_engine = make_engine
        self._owned = owned
        self._start()
        in_child(self._start_again)

    def _start(self) -> None:
        self._engine = self._make_engine()
        self.statements = Statements(self._engine.dialect, self._schema)
        self._faults = Retries(self.url, self._settings)
        self._loop = LoopThread("ckptstore-loop", selector_loop)
        # A database in memory is one connection: work takes turns, or transactions would mix.
        self._turn: AbstractAsyncContextManager[Any] = nullcontext() if self._owned else asyncio.Lock()
        # Not the only one that there is.
        self._may_keep = self._owned and self._settings.pool_size > 1
        self._kept: AsyncConnection | None = None
        self._uses = 0
        self._too_long: asyncio.TimerHandle | None = None
        self._letting_go: asyncio.Task[None] | None = None

    def _start_again(self) -> None:
        abandon(dict(self.__dict__))
        self._start()
        if not self._owned:
            self._loop.refuse("this database in memory belongs to the process that forked; build another saver here")

    def read(self, work: Work[T]) -> Future[T]:
        return self._loop.run(self._faults.run_async(lambda: self._attempt(work)))

    def write(self, work: Work[T]) -> Future[T]:
        attempt = self._attempt_on_kept if self._may_keep else self._attempt
        return self._loop.run(self._faults.run_async(lambda: attempt(work)))

    def _run(self, connection: Connection, work: Work[T]) -> T:
        return work(Db(connection, self.statements))

    async def _attempt(self, work: Work[T]) -> T:
        async with self._turn, self._engine.connect() as connection:
            return await connection.run_sync(self._run, work)

    async def _attempt_on_kept(self, work: Work[T]) -> T:
        """The same, on the connection of the last batch: to take one from the pool costs as much as a short statement."""
        connection = self._take_kept() or await self._engine.connect()
        try:
            result = await connection.run_sync(self._run, work)
        except BaseException:
            await connection.close()
            raise
        self._uses += 1
        if self._kept is None and not connection.invalidated and self._uses % _MOST_USES:
            self._keep(connection)
        else:
            await connection.close()
        return result

    def _keep(self, connection: AsyncConnection) -> None:
        self._kept = connection
        self._too_long = asyncio.get_running_loop().call_later(_KEPT_SECONDS, self._begin_to_let_go)

    def _begin_to_let_go(self) -> None:
        self._letting_go = asyncio.get_running_loop().create_task(self._let_go())

    def _take_kept(self) -> AsyncConnection | None:
        connection, self._kept = self._kept, None
        if self._too_long is not None:
            self._too_long.cancel()
        return connection

    async def _let_go(self) -> None:
        connection = self._take_kept()
        if connection is not None:
            await connection.close()

    def close(self) -> None:
        self._loop.close(self._dispose())

    async def _dispose(self) -> None:
        await self._let_go()
        if self._owned:
            await self._engine.dispose()
