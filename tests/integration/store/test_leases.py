"""Taking the lease of a thread and releasing it, as a store does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import LeaseLost, ThreadBusy
from ckptstore.runtime.steps import drive_async
from ckptstore.writes.thread_lease import LeaseState
from tests.support.build import config, put
from tests.support.leases import pass_time, queue, taken, until_queued
from tests.support.rows import rows


@pytest.fixture
async def saver(url: str) -> AsyncIterator[SQLAlchemySaver]:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await saver.setup()
        yield saver


async def test_a_store_that_holds_nothing_has_no_thread_and_no_row(saver: SQLAlchemySaver) -> None:
    leases = saver.store.leases
    await put(saver, config("t"), {"n": 1})
    assert not leases.in_use
    assert leases.of("t") is None
    lease = await taken(saver)
    assert leases.in_use
    assert leases.of("t") is lease
    await drive_async(leases.release(lease))
    assert leases.of("t") is None
    assert "ckpt_lease" not in rows(saver)


async def test_a_release_waits_for_the_writes_before_it(saver: SQLAlchemySaver) -> None:
    lease = await taken(saver)
    writes = [asyncio.create_task(put(saver, config("t"), {"n": n})) for n in range(20)]
    await asyncio.sleep(0)
    await asyncio.gather(drive_async(saver.store.leases.release(lease)), *writes)
    assert rows(saver)["ckpt_checkpoint"] == 20


async def test_a_lease_that_was_taken_or_given_back_is_not_given_back_again(saver: SQLAlchemySaver) -> None:
    lease = await taken(saver)
    pass_time(saver, 30)
    thief = await taken(saver, "thief")
    with pytest.raises(LeaseLost):
        await drive_async(saver.store.leases.release(lease))
    assert lease.state is LeaseState.LOST
    assert queue(saver) == ["thief"]
    assert saver.store.leases.of("t") is thief
    await drive_async(saver.store.leases.release(thief))
    with pytest.raises(LeaseLost, match="was released"):
        await drive_async(saver.store.leases.release(thief))


async def test_an_abandoned_lease_leaves_the_database_soon(saver: SQLAlchemySaver) -> None:
    lease = await taken(saver, "a")
    saver.store.leases.abandon(lease)
    await until_queued(saver, [])
    assert lease.state is LeaseState.RELEASED


async def test_the_message_without_a_label(saver: SQLAlchemySaver) -> None:
    await taken(saver)
    with pytest.raises(ThreadBusy, match=r"thread 't' is held by process \d+ on "):
        await taken(saver)
