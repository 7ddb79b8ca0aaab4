"""PostgreSQL, and SQLite behind an engine of the caller's: an event loop on a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeVar

from sqlalchemy import URL, Dialect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ckptstore.config import DatabaseSettings
from ckptstore.database.protocol import Work
from ckptstore.database.retries import Retries
from ckptstore.forking import abandon, in_child
from ckptstore.loops import LoopThread

T = TypeVar("T")

# A connection that writes is kept for the next batch, for so long: one that nobody needs belongs to the pool.
_KEPT_SECONDS = 1.0
# Now and then it goes back while it is busy too: the pool replaces those that are old.
_MOST_USES = 1_000


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
        self._faults = Retries(self.url, self._settings)
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
