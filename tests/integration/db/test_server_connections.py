"""An engine's open connections are known, each is watched from its first moment, and all can be ended at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ckptstore.db import server_connections
from ckptstore.db.server_connections import ServerConnections
from ckptstore.db.watch import Watch, current_watch
from tests.support.databases import url_of


@pytest.fixture(params=["asyncpg", "psycopg"])
def server_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A PostgreSQL server, through each driver."""
    return url_of(request.param, request, tmp_path)


@pytest.fixture
async def engine(server_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(server_url)
    yield engine
    await engine.dispose()


async def test_whatever_waits_for_an_answer_fails_once_all_are_ended(server_url: str, engine: AsyncEngine) -> None:
    connections = ServerConnections(engine.sync_engine)
    # Not one of the engine's: the lock stays taken.
    async with await psycopg.AsyncConnection.connect(server_url.replace("+asyncpg", "").replace("+psycopg", "")) as other:
        await other.execute("SELECT pg_advisory_lock(1)")
        waiting, idle = await engine.connect(), await engine.connect()
        await idle.execute(text("SELECT 1"))
        statement = asyncio.create_task(waiting.execute(text("SELECT pg_advisory_lock(1)")))
        while not await (await other.execute("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")).fetchall():  # noqa: ASYNC110
            await asyncio.sleep(0)
        connections.abort()
        with pytest.raises(DBAPIError):
            await statement
        with pytest.raises(DBAPIError):
            await idle.execute(text("SELECT 1"))
        for connection in (waiting, idle):
            # A driver may try to roll back.
            with suppress(DBAPIError):
                await connection.close()
    # The engine opens new ones.
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1


async def test_connecting_is_watched_and_then_the_connection(engine: AsyncEngine) -> None:
    ServerConnections(engine.sync_engine)
    begun: list[Any] = []

    class Recording(Watch):
        def begin(self, driver_connection: Any, seconds: float | None = None) -> None:
            begun.append(driver_connection)

    token = current_watch.set(Recording(None, None))
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        assert begun == [None, raw.driver_connection]
    current_watch.reset(token)


async def test_a_connection_that_does_not_close_gracefully_is_aborted_after_a_bound(engine: AsyncEngine) -> None:
    ServerConnections(engine.sync_engine)
    ended = asyncio.Event()
    with (
        mock.patch.object(server_connections, "GRACEFUL_CLOSE_SECONDS", 0.0),
        mock.patch.object(server_connections, "abort", side_effect=lambda _connection: ended.set()),
    ):
        async with engine.connect() as connection:
            await connection.invalidate()
        await engine.dispose()
        async with engine.connect():
            pass
        await engine.dispose()
        await ended.wait()
