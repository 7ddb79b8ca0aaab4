"""The savers that are compared, each on a fresh database of its own."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Self

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver

from benchmarks.databases import Database, PostgresDatabase, SqliteFile
from ckptstore import SQLAlchemySaver
from ckptstore.tags.keys import EVERYTHING, TagKeys

IN_MEMORY = "InMemorySaver"
SQLITE = "SqliteSaver"
ASYNC_SQLITE = "AsyncSqliteSaver"
ASYNC_POSTGRES = "AsyncPostgresSaver"
CKPTSTORE_SQLITE = "ckptstore SQLite"
CKPTSTORE_POSTGRES = "ckptstore PostgreSQL"
OURS = (CKPTSTORE_SQLITE, CKPTSTORE_POSTGRES)

AnySaver = BaseCheckpointSaver[Any]
Connect = Callable[[str], AbstractAsyncContextManager[AnySaver]]


class Contender:
    """A saver: `async with` opens it on a fresh database, set up and empty, and removes all of it at the end.

    Args:
        name: the column's.
        connect: opens the saver on a URL, with its tables.
        new_database: makes a fresh database; None for a saver that needs none.
    """

    def __init__(self, name: str, connect: Connect, new_database: Callable[[], Database] | None = None) -> None:
        self.name = name
        self.connect = connect
        self._new_database = new_database

    async def __aenter__(self) -> Self:
        """Open it."""
        self.database = self._new_database() if self._new_database else None
        async with AsyncExitStack() as stack:
            if self.database:
                stack.push_async_callback(self.database.remove)
                await self.database.create()
            self.saver = await stack.enter_async_context(self.connect(self.database.url if self.database else ""))
            self._empty_bytes = await self.database.size() if self.database else 0
            self._opened = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        """Close it, and remove its database."""
        await self._opened.aclose()

    @property
    def in_a_file(self) -> bool:
        """Whether its database is a SQLite file."""
        return self._new_database is SqliteFile

    def opened_with(self, name: str, connect: Connect) -> Contender:
        """Another contender, opened in another way, on databases of the same kind."""
        return Contender(name, connect, self._new_database)

    @asynccontextmanager
    async def fresh_database(self) -> AsyncIterator[str]:
        """The URL of an empty database, for savers of other processes; it is removed at the end. Empty for what is in memory."""
        if self._new_database is None:
            yield ""
            return
        database = self._new_database()
        try:
            await database.create()
            yield database.url
        finally:
            await database.remove()

    async def stored_bytes(self) -> int | None:
        """Everything that was stored since the tables were made, in the database and outside it; None for what is in memory."""
        if self.database is None:
            return None
        return await self.database.size() - self._empty_bytes + sum(self.database.blobs())


@asynccontextmanager
async def _in_memory(url: str) -> AsyncIterator[AnySaver]:
    yield InMemorySaver()


@asynccontextmanager
async def _sqlite(url: str) -> AsyncIterator[AnySaver]:
    official = importlib.import_module("langgraph.checkpoint.sqlite")
    with official.SqliteSaver.from_conn_string(url) as saver:
        saver.setup()
        yield saver


def sqlite_saver() -> list[Contender]:
    """The official saver for synchronous callers, where its package is installed: no coroutine can use it."""
    return [Contender(SQLITE, _sqlite, SqliteFile)] if importlib.util.find_spec(NEEDED[ASYNC_SQLITE][0]) else []


@asynccontextmanager
async def _async_sqlite(url: str) -> AsyncIterator[AnySaver]:
    # It turns on WAL itself.
    official = importlib.import_module("langgraph.checkpoint.sqlite.aio")
    async with official.AsyncSqliteSaver.from_conn_string(url) as saver:
        await saver.setup()
        yield saver


@asynccontextmanager
async def _async_postgres(url: str) -> AsyncIterator[AnySaver]:
    # The pool and its settings are those that its documentation asks for.
    official = importlib.import_module("langgraph.checkpoint.postgres.aio")
    pool = importlib.import_module("psycopg_pool")
    rows = importlib.import_module("psycopg.rows")
    settings = {"autocommit": True, "prepare_threshold": 0, "row_factory": rows.dict_row}
    async with pool.AsyncConnectionPool(url, min_size=10, max_size=10, kwargs=settings) as connections:
        saver = official.AsyncPostgresSaver(connections)
        await saver.setup()
        yield saver


@asynccontextmanager
async def ckptstore(url: str, tag_keys: TagKeys = EVERYTHING) -> AsyncIterator[AnySaver]:
    """Open ours."""
    async with SQLAlchemySaver.from_conn_string(url, tag_keys=tag_keys) as saver:
        await saver.setup()
        yield saver


#: How each is opened, by its name: what a process of its own is told.
CONNECT: Mapping[str, Connect] = {
    IN_MEMORY: _in_memory,
    ASYNC_SQLITE: _async_sqlite,
    ASYNC_POSTGRES: _async_postgres,
    CKPTSTORE_SQLITE: ckptstore,
    CKPTSTORE_POSTGRES: ckptstore,
}

#: Packages that a contender needs beside ckptstore's own.
NEEDED = {
    ASYNC_SQLITE: ("langgraph.checkpoint.sqlite",),
    ASYNC_POSTGRES: ("langgraph.checkpoint.postgres", "psycopg_pool"),
    CKPTSTORE_POSTGRES: ("asyncpg",),
}


def contenders(postgres_url: str | None) -> tuple[list[Contender], dict[str, str]]:
    """Who can take part.

    Args:
        postgres_url: a server where databases may be created, or None to leave PostgreSQL out.

    Returns:
        The contenders, and the names of the others with the reason.
    """

    def on_postgres() -> Database:
        assert postgres_url is not None
        return PostgresDatabase(postgres_url)

    databases: Mapping[str, Callable[[], Database]] = {
        ASYNC_SQLITE: SqliteFile,
        ASYNC_POSTGRES: on_postgres,
        CKPTSTORE_SQLITE: SqliteFile,
        CKPTSTORE_POSTGRES: on_postgres,
    }
    everyone = [Contender(name, connect, databases.get(name)) for name, connect in CONNECT.items()]
    absent = {name: "not installed" for name, modules in NEEDED.items() if not all(map(importlib.util.find_spec, modules))}
    if postgres_url is None:
        absent |= {name: "no PostgreSQL in this run" for name in (ASYNC_POSTGRES, CKPTSTORE_POSTGRES) if name not in absent}
    return [contender for contender in everyone if contender.name not in absent], absent
