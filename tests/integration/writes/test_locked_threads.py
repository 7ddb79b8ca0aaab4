"""A thread whose row another transaction has locked, on PostgreSQL: its own writes wait, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db.settings import DatabaseSettings
from ckptstore.errors import DatabaseUnavailable
from tests.support.build import config, put
from tests.support.databases import url_of

WAIT_SECONDS = 30


@pytest.fixture(params=["asyncpg", "psycopg"])
def server_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


@pytest.fixture
async def saver(server_url: str) -> AsyncIterator[SQLAlchemySaver]:
    async with SQLAlchemySaver.from_conn_string(server_url) as saver:
        yield saver


@contextmanager
def locked(postgres_url: str, *thread_ids: str) -> Iterator[None]:
    """Another transaction holds the rows of these threads."""
    with psycopg.connect(postgres_url) as other:
        for thread_id in thread_ids:
            # On a cluster only rows of one thread can be locked by a statement.
            assert other.execute("SELECT FROM ckpt_thread WHERE thread_id = %s FOR UPDATE", [thread_id]).rowcount == 1
        yield


async def test_writes_of_other_threads_continue(saver: SQLAlchemySaver, postgres_url: str) -> None:
    for name in ("locked", "locked too"):
        await put(saver, config(name))
    with locked(postgres_url, "locked", "locked too"):
        # Among the others, so that they are in one batch with some of them.
        names = ["first", "locked", *map(str, range(20)), "locked too", *map(str, range(20, 40))]
        tasks = {name: asyncio.ensure_future(put(saver, config(name))) for name in names}
        waiting = [tasks.pop("locked"), tasks.pop("locked too")]
        await asyncio.wait_for(asyncio.gather(*tasks.values()), WAIT_SECONDS)
        # Also those that come later.
        await asyncio.wait_for(asyncio.gather(*[put(saver, config(f"later {n}")) for n in range(10)]), WAIT_SECONDS)
        assert not any(task.done() for task in waiting)
    await asyncio.gather(*waiting)


async def test_writes_of_the_locked_thread_keep_their_order(saver: SQLAlchemySaver, postgres_url: str) -> None:
    await put(saver, config("t"))
    with locked(postgres_url, "t"):
        tasks = [asyncio.ensure_future(put(saver, config("t"), {"n": n})) for n in range(5)]
        await asyncio.wait_for(put(saver, config("other")), WAIT_SECONDS)
        assert not any(task.done() for task in tasks)
    await asyncio.gather(*tasks)
    assert [found.checkpoint["channel_values"].get("n") for found in await saver.alist(config("t"))] == [4, 3, 2, 1, 0, None]


@pytest.mark.parametrize("pool_size", [2, 10])
async def test_more_locked_threads_than_connections_hold_up_no_others(server_url: str, postgres_url: str, pool_size: int) -> None:
    async with SQLAlchemySaver.from_conn_string(server_url, settings=DatabaseSettings(pool_size=pool_size)) as saver:
        names = [f"locked {n}" for n in range(12)]
        await asyncio.gather(*[put(saver, config(name)) for name in names])
        with locked(postgres_url, *names):
            waiting = [asyncio.ensure_future(put(saver, config(name), {"n": n})) for n in range(2) for name in names]
            for n in range(5):
                await asyncio.wait_for(put(saver, config(f"other {n}")), WAIT_SECONDS)
            assert not any(task.done() for task in waiting)
        await asyncio.wait_for(asyncio.gather(*waiting), WAIT_SECONDS)
        for name in names:
            assert [found.checkpoint["channel_values"].get("n") for found in await saver.alist(config(name))] == [1, 0, None]


async def test_a_thread_that_stays_locked_is_named_after_the_promised_time(server_url: str, postgres_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(server_url, settings=DatabaseSettings(retry_seconds=0.3)) as saver:
        await put(saver, config("t"))
        with locked(postgres_url, "t"):
            waiting = [asyncio.ensure_future(put(saver, config("t"))) for _ in range(3)]
            while not all(task.done() for task in waiting):
                # The database answers others all the time.
                await put(saver, config("other"))
            for task in waiting:
                with pytest.raises(DatabaseUnavailable, match="locked the row of thread 't'"):
                    task.result()
        await put(saver, config("t"))
