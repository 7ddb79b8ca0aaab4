"""A runner for async drivers, on an event loop and a worker thread of its own: PostgreSQL, and every engine that the caller owns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, QueuePool, StaticPool
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ckptstore.db.abilities import Abilities
from ckptstore.db.adopted_file import AdoptedFile
from ckptstore.db.busy_timeout import run_within
from ckptstore.db.connection import Db
from ckptstore.db.error_mapping import ServerSilent
from ckptstore.db.kept_connection import KeptConnection
from ckptstore.db.observe import is_observed
from ckptstore.db.pool_use import PoolUse, pool_use
from ckptstore.db.retries import Deadline, Retries, seconds_from_now
from ckptstore.db.runner import Work
from ckptstore.db.server_connections import GRACEFUL_CLOSE_SECONDS, ServerConnections
from ckptstore.db.settings import CLOSE_SECONDS, DatabaseSettings
from ckptstore.db.statement import statements_for
from ckptstore.db.statement_work import StatementWork, driver_connection_of, fetch, run_statement
from ckptstore.db.upgrade_explained import explaining_upgrades
from ckptstore.db.url import is_memory
from ckptstore.db.watch import Watch, current_watch
from ckptstore.monitoring.monitor import Monitor
from ckptstore.runtime.fork import abandon, around_fork
from ckptstore.runtime.future import Future
from ckptstore.runtime.loop_thread import LoopThread, selector_loop

T = TypeVar("T")

# More connections than this are of no use to batches: each waits for a lock that another transaction holds, or takes long.
_MAX_BATCHES = 4


class AsyncRunner:
    """Runs work on an `AsyncEngine`.

    Args:
        url: of the database, for messages.
        settings: its `retry_seconds`, `attempt_seconds` and `long_attempt_seconds` are used here.
        schema: the PostgreSQL schema of the tables, or None for the connection's own.
        monitor: counts what is done on the database.
        make_engine: called once here, and once in every child of a fork.
        owned: False if the engine shares its pool with the caller, and so must not be disposed of.
    """

    may_wait = False

    def __init__(
        self,
        url: URL,
        settings: DatabaseSettings,
        schema: str | None,
        monitor: Monitor,
        make_engine: Callable[[], AsyncEngine],
        *,
        owned: bool = True,
    ) -> None:
        self.url = url
        self.monitor = monitor
        self._settings = settings
        self._schema = schema
        self._make_engine = make_engine
        self._owned = owned
        #: Also of a child of fork: it is the same database.
        self.abilities = Abilities()
        self._start()
        around_fork(before=self._before_fork, in_parent=self._after_fork, in_child=self._start_in_child)

    def _start(self) -> None:
        self._engine = self._make_engine()
        self.statements = statements_for(self._engine.dialect, self._schema)
        #: None on SQLite, which has no server that could be silent.
        self._connections = None if self.statements.on_sqlite else ServerConnections(self._engine.sync_engine)
        in_file = self.statements.on_sqlite and not is_memory(self.url)
        self._file = AdoptedFile(self._engine.sync_engine) if in_file else None
        self._retries = Retries(self.url, self._settings, self.monitor, on_file=self.statements.on_sqlite)
        self._loop = LoopThread("ckptstore-loop", selector_loop)
        pool = self._engine.pool
        single = isinstance(pool, StaticPool) or not self._owned
        # On a single connection all work runs one at a time, or transactions would mix. On SQLite writes do: there is one write lock.
        self._connection_lock: AbstractAsyncContextManager[Any] = asyncio.Lock() if single else nullcontext()
        self._write_lock: AbstractAsyncContextManager[Any] = asyncio.Lock() if self.statements.on_sqlite else nullcontext()
        # If the pool has a single connection, it is never kept: readers need it too.
        self._may_keep = not single and not (isinstance(pool, QueuePool) and pool.size() == 1)
        #: A caller who chose another kind of pool may want a new connection for each read.
        self._may_keep_for_reads = self._may_keep and isinstance(pool, QueuePool)
        #: How many batches may be under way; reads need the other connections.
        self.max_batches = 1 if single or self.statements.on_sqlite else max(1, min(_MAX_BATCHES, self._settings.pool_size // 2))
        self._kept = KeptConnection()
        self._fetch = fetch
        self._used = False
        self._running = 0
        self._idle = asyncio.Event()
        self._may_run = asyncio.Event()
        self._may_run.set()

    # --- work

    def read(self, work: Work[T]) -> Future[T]:
        return self._submit(self._attempt, work)

    def write(self, work: Work[T], on_done: Callable[[Future[T]], object] | None = None, deadline: Deadline | None = None) -> Future[T]:
        return self._submit(self._attempt_to_write, work, on_done, deadline)

    def _submit(
        self,
        attempt: Callable[[Work[T], Deadline], Any],
        work: Work[T],
        on_done: Callable[[Future[T]], object] | None = None,
        deadline: Deadline | None = None,
    ) -> Future[T]:
        deadline = deadline or seconds_from_now(self._settings.retry_seconds)
        if self.statements.on_sqlite:
            work = partial(run_within, work, deadline, self._settings)
        if self._file is not None:
            work = partial(self._file.run_read if attempt == self._attempt else self._file.run_write, work)
        self._used = True
        repeat = partial(self._retries.run_async, deadline, self._attempt_unless_forking, attempt, work, deadline)
        return self._loop.run(explaining_upgrades(repeat, self._attempt), on_done)

    def write_here(self, work: Work[T], deadline: Deadline) -> T:
        raise NotImplementedError("work runs on an event loop")

    def try_read(self, work: Work[T]) -> tuple[T] | None:
        return None

    def try_write(self, work: Work[bool]) -> bool:
        return False

    def call_soon(self, function: Callable[[], object]) -> None:
        self._loop.call_soon(function)

    def call_later(self, seconds: float, function: Callable[[], object]) -> None:
        asyncio.get_running_loop().call_later(seconds, function)

    def pool_use(self) -> PoolUse:
        return pool_use(self._engine.pool, self._kept.count)

    async def _attempt_unless_forking(self, attempt: Callable[[Work[T], Deadline], Any], work: Work[T], deadline: Deadline) -> T:
        await self._may_run.wait()
        self._running += 1
        try:
            result: T = await attempt(work, deadline)
            return result
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def _attempt(self, work: Work[T], deadline: Deadline) -> T:
        async with self._connection_lock:
            if self._may_keep_for_reads and not is_observed(self._engine.sync_engine):
                return await self._attempt_on_kept(work, deadline)
            watch = self._new_watch(deadline)
            connection = await self._connect(watch)
            try:
                return await self._watched(connection, connection.run_sync(self._run, work, watch), watch)
            finally:
                await connection.close()

    async def _attempt_to_write(self, work: Work[T], deadline: Deadline) -> T:
        async with self._write_lock:
            if self._may_keep and not is_observed(self._engine.sync_engine):
                return await self._attempt_on_kept(work, deadline)
            # SQLAlchemy decides what a connection logs when the connection is opened.
            await self._kept.release()
            return await self._attempt(work, deadline)

    async def _attempt_on_kept(self, work: Work[T], deadline: Deadline) -> T:
        """Run on the connection of the last batch or read: taking one from the pool costs as much as a short statement."""
        watch = self._new_watch(deadline)
        connection = self._kept.take() or await self._connect(watch)
        try:
            if self.statements.driver == "asyncpg" and isinstance(work, StatementWork):
                running = self._run_at_driver(connection, work, watch)
            else:
                running = connection.run_sync(self._run, work, watch)
            result: T = await self._watched(connection, running, watch)
        except BaseException:
            await connection.close()
            raise
        await self._kept.keep_or_close(connection)
        return result

    # --- deadlines

    def _new_watch(self, deadline: Deadline) -> Watch:
        if self._connections is None:
            return Watch(None, None)
        # Without retries there is one attempt, which has all of its time.
        seconds, long_seconds = self._settings.attempt_seconds, self._settings.long_attempt_seconds
        watch = Watch(seconds, long_seconds, deadline if self._settings.retry_seconds else None)
        watch.host = self._connections.host
        return watch

    async def _connect(self, watch: Watch) -> AsyncConnection:
        """Take a connection from the pool: after waiting for one, testing it and opening another one are phases of the watch."""
        current_watch.set(watch)
        waiting = watch.waiting()
        if self._file is not None:
            self._file.look_before_opening()
        try:
            async with waiting:
                return await self._engine.connect()
        except asyncio.CancelledError as exc:
            task = asyncio.current_task()
            if not watch.expired or (task is not None and task.uncancel() > 0):
                raise
            if self._connections is not None and self._connections.skip_host(watch):
                return await self._connect(watch)
            raise ServerSilent(watch.bound or 0) from exc
        except Exception as exc:
            if watch.expired:
                raise ServerSilent(watch.bound or 0) from exc
            if waiting.expired():
                raise PoolTimeout from exc
            raise
        finally:
            watch.end()

    async def _watched(self, connection: AsyncConnection, running: Coroutine[Any, Any, T], watch: Watch) -> T:
        """Await what runs on a connection, with a deadline."""
        watch.begin(driver_connection_of(connection))
        try:
            return await running
        except Exception as exc:
            if watch.expired:
                raise ServerSilent(watch.bound or 0) from exc
            raise
        finally:
            watch.end()
            if watch.expired:
                # Also if the last answer came while the connection was being ended.
                await connection.invalidate()

    # --- running

    async def _run_at_driver(self, connection: AsyncConnection, work: StatementWork[T], watch: Watch) -> T:
        """Run work whose statement asyncpg executes: nobody observes the engine."""
        result = await run_statement(connection, work, self.statements, self.abilities, watch, self._fetch)
        return result if result is not None else await connection.run_sync(self._run, work, watch)

    def _run(self, connection: Connection, work: Work[T], watch: Watch) -> T:
        try:
            observed = is_observed(connection.engine)
            return work(Db(connection, self.statements, observed=observed, watch=watch, abilities=self.abilities))
        except (KeyboardInterrupt, SystemExit) as exc:
            # Raised by a listener. On a loop they would end its thread, and with it every later call.
            raise RuntimeError(f"a listener on this engine raised {type(exc).__name__}") from exc

    # --- forks

    def _before_fork(self) -> None:
        # A child must not inherit an open SQLite file, see `SqliteRunner`. A server's connections are abandoned in the child.
        if self._owned and self.statements.on_sqlite and self._used:
            self._loop.run(self._pause()).result()

    async def _pause(self) -> None:
        self._may_run.clear()
        while self._running:
            self._idle.clear()
            await self._idle.wait()
        await self._dispose()

    def _after_fork(self) -> None:
        if self._owned and self.statements.on_sqlite and self._used:
            self._loop.run(self._resume())

    async def _resume(self) -> None:
        self._may_run.set()

    def _start_in_child(self) -> None:
        abandon(dict(self.__dict__))
        self._start()
        if not self._owned:
            self._loop.refuse("this database in memory belongs to the process that forked; create another saver in the child")

    # --- closing

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        self._loop.close(self._dispose(), seconds)
        self._used = False

    async def _dispose(self) -> None:
        # Each dead connection would take its time, one after the other.
        timer = self._connections and asyncio.get_running_loop().call_later(GRACEFUL_CLOSE_SECONDS, self._connections.abort)
        await self._kept.release()
        if self._owned:
            await self._engine.dispose()
        if timer:
            timer.cancel()
