"""A thread whose row another transaction has locked, on PostgreSQL: its own writes wait, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from ckptstore import SQLAlchemySaver
from tests.support.build import config, put
from tests.support.databases import url_of

WAIT_SECONDS = 30


@pytest.fixture(params=["asyncpg", "psycopg"])
async def saver(request: pytest.FixtureRequest, tmp_path: object) -> AsyncIterator[SQLAlchemySaver]:
    async with SQLAlchemySaver.from_conn_string(url_of(request.param, request, tmp_path)) as saver:  # type: ignore[arg-type]
        yield saver


@contextmanager
def locked(postgres_url: str, *thread_ids: str) -> Iterator[None]:
    """Another transaction holds the rows of these threads."""
    with psycopg.connect(postgres_url) as other:
        found = other.execute("SELECT thread_id FROM ckpt_thread WHERE thread_id = ANY(%s) FOR UPDATE", [list(thread_ids)])
        assert len(found.fetchall()) == len(thread_ids)
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
