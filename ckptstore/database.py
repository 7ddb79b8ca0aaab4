"""Running work on a database from anywhere: any thread, any event loop, or none.

Work is a plain function of a SQLAlchemy `Connection`, so that every query is written once. SQLite runs it on a
thread (one hop for a whole batch, where an async driver hops for every statement); PostgreSQL runs it on an event
loop of its own, under an async driver. Callers get a `concurrent.futures.Future`, and no call ever waits for the
caller's own thread or loop: a synchronous call beneath a running loop can't deadlock.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Any, Protocol, TypeVar

from sqlalchemy import URL, Connection, Dialect, Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from tenacity import AsyncRetrying, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from ckptstore.config import DatabaseSettings, is_memory
from ckptstore.engine import ping_when_idle, postgres_engine, sqlite_engine
from ckptstore.errors import DatabaseUnavailable, StoreClosed
from ckptstore.faults import is_driver_error, translate
from ckptstore.forking import abandon, around_fork, in_child
from ckptstore.loops import LoopThread
from ckptstore.wal import WriteAheadLog

T = TypeVar("T")
Work = Callable[[Connection], T]

# A connection that writes is kept for the next batch, for so long: one that nobody needs belongs to the pool.
_KEPT_SECONDS = 1.0
# Now and then it goes back while it is busy too: the pool replaces those that are old.
_MOST_USES = 1_000
# More readers than this only take turns at the interpreter's lock.
_SQLITE_READERS = 4


class Database(Protocol):
    """Where work runs. Connections come in autocommit; `engine.transaction()` opens transactions on them."""

    url: URL
    dialect: Dialect
    #: Whether work that writes runs on a thread of its own, and may wait there without keeping others from theirs.
    may_wait: bool

    def read(self, work: Work[T]) -> Future[T]:
        """Run work that reads, in parallel with other work."""
        ...

    def write(self, work: Work[T]) -> Future[T]:
        """Run work that writes, with SQLite one after the other. It may run again after a passing fault."""
        ...

    def close(self) -> None:
        """Close every connection and thread; blocks until they have ended."""
        ...


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


class _Faults:
    """Retries passing faults within bounds, once the database was reached; before that, a fault is said at once."""

    def __init__(self, url: URL, settings: DatabaseSettings) -> None:
        self._url = url
        self._reached = False
        policy: dict[str, Any] = {
            "retry": retry_if_exception(self._passes),
            "stop": stop_after_delay(settings.retry_seconds),
            "wait": wait_random_exponential(multiplier=0.02, max=1.0),
            "reraise": True,
        }
        self._retrying = Retrying(**policy)
        self._async_retrying = AsyncRetrying(**policy)

    def _passes(self, exc: BaseException) -> bool:
        return self._reached and isinstance(exc, DatabaseUnavailable) and exc.passing

    def run(self, attempt: Callable[[], T]) -> T:
        def translated() -> T:
            try:
                result = attempt()
            except Exception as exc:
                raise self._translated(exc) from exc
            self._reached = True
            return result

        try:
            # Nearly all work succeeds at once, and need not pay for the machinery of retrying.
            return translated()
        except DatabaseUnavailable as exc:
            if not self._passes(exc):
                raise
        return self._retrying(translated)

    async def run_async(self, attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async def translated() -> T:
            try:
                result = await attempt()
            except Exception as exc:
                raise self._translated(exc) from exc
            self._reached = True
            return result

        try:
            return await translated()
        except DatabaseUnavailable as exc:
            if not self._passes(exc):
                raise
        return await self._async_retrying(translated)

    def _translated(self, exc: Exception) -> Exception:
        return translate(exc, self._url) if is_driver_error(exc) else exc


class ThreadDatabase:
    """SQLite: one writing thread, a few reading ones."""

    may_wait = True

    def __init__(self, url: URL, settings: DatabaseSettings) -> None:
        self.url = url
        self._settings = settings
        self._start()
        around_fork(before=self._before_fork, in_parent=self._after_fork, in_child=self._start_again)

    def _start(self) -> None:
        self._gate = threading.Condition()
        self._running = 0
        self._forking = False
        self._kept: Connection | None = None
        self._wal = None if is_memory(self.url) else WriteAheadLog(self.read)
        self._engine = sqlite_engine(self.url, self._settings)
        self.dialect: Dialect = self._engine.dialect
        self._faults = _Faults(self.url, self._settings)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="ckptstore-write")
        readers = min(self._settings.pool_size, _SQLITE_READERS)
        # A database in memory is one connection: all of its work takes turns on one thread.
        self._readers = self._writer if is_memory(self.url) else ThreadPoolExecutor(readers, thread_name_prefix="ckptstore-read")

    def read(self, work: Work[T]) -> Future[T]:
        return self._submit(self._readers, self._read, work)

    def write(self, work: Work[T]) -> Future[T]:
        return self._submit(self._writer, self._write, work)

    def _submit(self, pool: ThreadPoolExecutor, run: Callable[[Work[T]], T], work: Work[T]) -> Future[T]:
        try:
            return pool.submit(self._faults.run, partial(self._unless_forking, run, work))
        except RuntimeError as exc:
            raise StoreClosed from exc

    def _unless_forking(self, run: Callable[[Work[T]], T], work: Work[T]) -> T:
        with self._gate:
            while self._forking:
                self._gate.wait()
            self._running += 1
        try:
            return run(work)
        finally:
            with self._gate:
                self._running -= 1
                if self._forking:
                    self._gate.notify_all()

    def _read(self, work: Work[T]) -> T:
        with self._engine.connect() as connection:
            return work(connection)

    def _write(self, work: Work[T]) -> T:
        # One thread writes, batch after batch: it keeps its connection, but for one that something went wrong on.
        connection, self._kept = self._kept or self._engine.connect(), None
        try:
            result = work(connection)
        except BaseException:
            connection.close()
            raise
        self._kept = connection
        if self._wal is not None:
            self._wal.wrote(connection)
        return result

    def _let_go(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _before_fork(self) -> None:
        # SQLite keeps its locks in the process. A child that inherits an open file believes that it holds them too, and
        # the parent, closing the file as its last user, would delete the log that the child writes to.
        with self._gate:
            self._forking = True
            self._gate.wait_for(lambda: self._running == 0)
        if not is_memory(self.url):
            self._let_go()
            self._engine.dispose()

    def _after_fork(self) -> None:
        with self._gate:
            self._forking = False
            self._gate.notify_all()

    def _start_again(self) -> None:
        abandon(dict(self.__dict__))
        self._start()

    def close(self) -> None:
        # First who may still ask the others for something.
        self._writer.shutdown()
        self._readers.shutdown()
        self._let_go()
        self._engine.dispose()


class LoopDatabase:
    """A database behind an async driver, on an event loop and a thread of its own."""

    may_wait = False

    def __init__(self, url: URL, settings: DatabaseSettings, make_engine: Callable[[], AsyncEngine], *, owned: bool = True) -> None:
        self.url = url
        self._settings = settings
        self._make_engine = make_engine
        self._owned = owned
        self._start()
        in_child(self._start_again)

    def _start(self) -> None:
        self._engine = self._make_engine()
        self.dialect: Dialect = self._engine.dialect
        self._faults = _Faults(self.url, self._settings)
        self._loop = LoopThread("ckptstore-loop")
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

    async def _attempt(self, work: Work[T]) -> T:
        async with self._turn, self._engine.connect() as connection:
            return await connection.run_sync(work)

    async def _attempt_on_kept(self, work: Work[T]) -> T:
        """The same, on the connection of the last batch: to take one from the pool costs as much as a short statement."""
        connection = self._take_kept() or await self._engine.connect()
        try:
            result = await connection.run_sync(work)
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
