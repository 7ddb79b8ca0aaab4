"""Closing a store finishes what it accepted, beneath a running loop too."""

from __future__ import annotations

import asyncio

import pytest

from ckptstore import DatabaseSettings, SQLAlchemySaver
from ckptstore.errors import StoreClosed
from tests.support.build import chain, config, put
from tests.support.faults import queued


async def test_closing_writes_what_was_accepted(lasting_url: str) -> None:
    saver = SQLAlchemySaver.from_conn_string(lasting_url)
    where = await put(saver, config("t"))
    pending = [asyncio.ensure_future(saver.aput_writes(where, [("x", n)], f"task-{n}")) for n in range(50)]
    await queued(saver, pending)
    await saver.aclose()
    await asyncio.gather(*pending)
    with pytest.raises(StoreClosed):
        await put(saver, config("t"))
    async with SQLAlchemySaver.from_conn_string(lasting_url) as again:
        found = await again.aget_tuple(where)
        assert found is not None
        assert len(found.pending_writes or []) == 50


async def test_closing_waits_for_reads_that_are_under_way(lasting_url: str) -> None:
    saver = SQLAlchemySaver.from_conn_string(lasting_url)
    await chain(saver, "t", 5)
    reads = [asyncio.ensure_future(saver.aget_tuple(config("t"))) for _ in range(20)]
    await asyncio.sleep(0)
    await saver.aclose()
    assert all(found is not None for found in await asyncio.gather(*reads))


async def test_closing_beneath_a_running_loop_with_a_full_queue_ends(lasting_url: str) -> None:
    saver = SQLAlchemySaver.from_conn_string(lasting_url, settings=DatabaseSettings(max_pending=2))
    where = await put(saver, config("t"))
    tasks = [asyncio.ensure_future(saver.aput_writes(where, [("x", n)], f"task-{n}")) for n in range(20)]
    await asyncio.sleep(0)
    saver.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[:2] == [None, None]
    assert all(result is None or isinstance(result, StoreClosed) for result in results)


async def test_a_synchronous_call_beneath_a_running_loop_with_a_full_queue_ends(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url, settings=DatabaseSettings(max_pending=2)) as saver:
        where = await put(saver, config("t"))
        tasks = [asyncio.ensure_future(saver.aput_writes(where, [("x", n)], f"task-{n}")) for n in range(20)]
        await asyncio.sleep(0)
        saver.put_writes(where, [("x", 20)], "task-20")
        await asyncio.gather(*tasks)
        found = await saver.aget_tuple(where)
        assert found is not None
        assert sorted(write[2] for write in found.pending_writes or []) == list(range(21))
