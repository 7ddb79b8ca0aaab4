"""`hold` and `ahold`: one writer a thread, whatever becomes of the others."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator
from contextvars import Context
from datetime import timedelta
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidConfig, LeaseLost, ThreadBusy
from ckptstore.writes.thread_lease import ThreadLease
from tests.support.build import checkpoint, config, metadata, put
from tests.support.clocks import Days
from tests.support.leases import elsewhere, pass_time, queue, taken, until_queued
from tests.support.rows import Rows, rows

TTL = 30


@pytest.fixture
async def saver(lasting_url: str) -> AsyncIterator[SQLAlchemySaver]:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await saver.setup()
        yield saver


@pytest.fixture
async def other(saver: SQLAlchemySaver, lasting_url: str) -> AsyncIterator[SQLAlchemySaver]:
    """Another process's saver, as far as a lease can tell."""
    async with SQLAlchemySaver.from_conn_string(lasting_url) as other:
        yield other


async def holding(saver: SQLAlchemySaver, label: str, order: list[str], until: asyncio.Event | None = None, **options: Any) -> None:
    async with saver.ahold("t", label=label, **options):
        order.append(label)
        if until is not None:
            await until.wait()


async def take_over(saver: SQLAlchemySaver) -> None:
    """Let whoever holds the thread lose it to somebody else, who releases it."""
    pass_time(saver, TTL)

    async def hold() -> None:
        async with saver.ahold("t", wait=0, label="thief"):
            pass

    await elsewhere(hold())


async def test_one_at_a_time_in_the_order_of_asking_whoever_asks(saver: SQLAlchemySaver, other: SQLAlchemySaver) -> None:
    order: list[str] = []
    first = asyncio.Event()
    tasks = [elsewhere(holding(saver, "a", order, first))]
    labels = ["a"]
    await until_queued(saver, labels)
    for number, label in enumerate("bcdef"):
        tasks.append(elsewhere(holding(saver if number % 2 else other, label, order)))
        labels.append(label)
        await until_queued(saver, labels)
    assert order == ["a"]
    first.set()
    await asyncio.gather(*tasks)
    assert order == list("abcdef")
    assert queue(saver) == []


async def test_busy_says_who_and_until_when(saver: SQLAlchemySaver, other: SQLAlchemySaver) -> None:
    async with saver.ahold("t", label="worker 7"):
        for wait in (0, 0.01):
            with pytest.raises(ThreadBusy, match=r"thread 't' is held by 'worker 7', process \d+ on .*until") as raised:
                await elsewhere(holding(other, "b", [], wait=wait))
            busy = raised.value
            assert (busy.thread_id, busy.host, busy.pid, busy.label) == ("t", socket.gethostname(), os.getpid(), "worker 7")
            assert busy.until is not None
            assert busy.until.utcoffset() == timedelta(0)
        await until_queued(saver, ["worker 7"])
        # Others are free.
        async with other.ahold("u", wait=0):
            pass


async def test_a_cancelled_waiter_leaves_the_queue(saver: SQLAlchemySaver, other: SQLAlchemySaver) -> None:
    order: list[str] = []
    async with saver.ahold("t", label="a"):
        gives_up = elsewhere(holding(other, "b", order))
        await until_queued(saver, ["a", "b"])
        stays = elsewhere(holding(other, "c", order))
        await until_queued(saver, ["a", "b", "c"])
        gives_up.cancel()
        await asyncio.wait([gives_up])
        assert gives_up.cancelled()
        await until_queued(saver, ["a", "c"])
    await stays
    assert order == ["c"]


async def test_whoever_died_waiting_is_passed_over(saver: SQLAlchemySaver, other: SQLAlchemySaver) -> None:
    order: list[str] = []
    async with saver.ahold("t", label="a"):
        keeper = other.store.leases._keeper
        dies = elsewhere(holding(other, "b", order))
        await until_queued(saver, ["a", "b"])
        # As in a process that was killed: nobody renews it or looks after it.
        keeper.waiting.clear()
        waits = elsewhere(holding(saver, "c", order))
        await until_queued(saver, ["a", "b", "c"])
        pass_time(saver, TTL, "b")
    await waits
    assert order == ["c"]
    dies.cancel()
    await asyncio.wait([dies])


async def test_a_waiter_takes_over_from_a_holder_that_died(saver: SQLAlchemySaver, other: SQLAlchemySaver) -> None:
    order: list[str] = []
    lease = await taken(saver, "dead")
    saver.store.leases._keeper.drop(lease)
    waits = elsewhere(holding(other, "b", order))
    await until_queued(saver, ["dead", "b"])
    pass_time(saver, TTL, "dead")
    await waits
    assert order == ["b"]


async def test_a_holder_is_renewed_for_as_long_as_it_lives(saver: SQLAlchemySaver, other: SQLAlchemySaver) -> None:
    order: list[str] = []
    async with saver.ahold("t", ttl=1, label="a") as lease:
        waits = elsewhere(holding(other, "b", order, ttl=1))
        await until_queued(saver, ["a", "b"])
        renewed_at = lease.renewed_at
        while lease.renewed_at < renewed_at + 2 * lease.ttl:  # noqa: ASYNC110  # what is awaited is the time of the database
            await asyncio.sleep(0.05)
        assert (order, queue(saver)) == ([], ["a", "b"])
        lease.check()
    await waits


async def test_puts_of_a_lost_lease_are_refused_and_change_nothing(saver: SQLAlchemySaver, other: SQLAlchemySaver) -> None:
    before: list[Any] = []

    def rows_of_thread() -> list[Any]:
        found = Rows.of(saver).tables
        rows = [row for table in ("ckpt_checkpoint", "ckpt_write", "ckpt_thread") for row in found[table] if row["thread_id"] == "t"]
        # When a thread was last active is noted with its row's lock, once a second, whether or not the put is refused then.
        return [{name: value for name, value in row.items() if name != "updated_at"} for row in rows]

    async def goes_on() -> None:
        async with saver.ahold("t"):
            where = await put(saver, config("t"), {"n": 1})
            before.extend(rows_of_thread())
            await take_over(other)
            for write in (put(saver, where, {"n": 2}), saver.aput_writes(where, [("n", 3)], "task"), put(saver, where, {"n": 4})):
                with pytest.raises(LeaseLost, match="another one has thread 't' now"):
                    await write

    async with saver.ahold("u"):
        with pytest.raises(LeaseLost):
            await goes_on()
        # What else its process stores is stored.
        await put(saver, config("u"), {"n": 1})
        await put(saver, config("v"), {"n": 1})
    assert before == rows_of_thread()


async def test_the_database_refuses_even_a_holder_that_has_noticed_nothing(saver: SQLAlchemySaver, other: SQLAlchemySaver) -> None:
    """The holder's own process is asleep, so to speak: only the transaction of the put can know."""

    async def one(saver: SQLAlchemySaver, thread_id: str) -> str:
        try:
            await put(saver, config(thread_id), {"n": thread_id, "large": "x" * 100_000})
        except LeaseLost as exc:
            return exc.thread_id
        return "stored"

    async with saver.ahold("kept"):
        lease = await taken(saver)
        await take_over(other)
        assert not lease.is_lost
        outcomes = await asyncio.gather(one(saver, "free"), one(saver, "t"), one(saver, "kept"), one(saver, "free too"))
        assert list(outcomes) == ["stored", "t", "stored", "stored"]
        assert lease.is_lost
    assert await saver.aget_tuple(config("t")) is None
    assert Rows.of(saver).orphans() == {}


async def test_an_expired_lease_that_nobody_took_goes_on(saver: SQLAlchemySaver, other: SQLAlchemySaver) -> None:
    """A laptop that slept: nothing else was written meanwhile, so nothing is lost by going on."""
    async with saver.ahold("t", label="a") as lease:
        pass_time(saver, 10 * TTL)
        where = await put(saver, config("t"), {"n": 1})
        await put(saver, where, {"n": 2})
        lease.check()
    assert queue(saver) == []


async def test_taking_over_ends_the_other_and_passes_those_that_wait(saver: SQLAlchemySaver, other: SQLAlchemySaver) -> None:
    order: list[str] = []

    async def loses(held: asyncio.Event, go_on: asyncio.Event) -> None:
        async with saver.ahold("t", label="a"):
            held.set()
            await go_on.wait()
            await put(saver, config("t"), {"n": "a"})

    held, go_on = asyncio.Event(), asyncio.Event()
    first = elsewhere(loses(held, go_on))
    await held.wait()
    waits = elsewhere(holding(saver, "b", order))
    await until_queued(saver, ["a", "b"])
    async with other.ahold("t", label="c", take_over=True):
        order.append("c")
        assert queue(saver) == ["c", "b"]
        go_on.set()
        with pytest.raises(LeaseLost):
            await first
        await put(other, config("t"), {"n": "c"})
    await waits
    assert order == ["c", "b"]
    found = await saver.aget_tuple(config("t"))
    assert found is not None
    assert found.checkpoint["channel_values"] == {"n": "c"}


async def test_hold_within_hold_is_the_same_lease(saver: SQLAlchemySaver, other: SQLAlchemySaver) -> None:
    async with saver.ahold("t", label="outer") as outer:
        async with saver.ahold("t", wait=0, label="inner") as inner:
            assert inner is outer
        # Tasks that are started inside belong to it.
        async with asyncio.TaskGroup() as group:
            group.create_task(put(saver, config("t"), {"n": 1}))
        assert queue(saver) == ["outer"]
        with pytest.raises(ThreadBusy):
            await elsewhere(holding(saver, "stranger", [], wait=0))
        # Another saver on the same database is a stranger, too.
        with pytest.raises(ThreadBusy):
            async with other.ahold("t", wait=0):
                pass
    with pytest.raises(LeaseLost, match="was released"):
        outer.check()


async def test_a_task_that_goes_on_after_its_hold_may_hold_again_but_not_write(saver: SQLAlchemySaver) -> None:
    ended = asyncio.Event()

    async def goes_on() -> ThreadLease:
        await ended.wait()
        with pytest.raises(LeaseLost, match="was released"):
            await put(saver, config("t"), {"n": 1})
        async with saver.ahold("t", wait=0) as lease:
            await put(saver, config("t"), {"n": 1})
            return lease

    async with saver.ahold("t") as first:
        task = asyncio.create_task(goes_on())
    ended.set()
    assert await task is not first


async def test_an_exception_in_the_body_gives_the_thread_back_and_is_raised(saver: SQLAlchemySaver) -> None:
    async def fails(*, loses: bool) -> None:
        async with saver.ahold("t"):
            if loses:
                await take_over(saver)
            raise ZeroDivisionError

    # Also where the lease was lost meanwhile: the body's own exception says more.
    for loses in (False, True):
        with pytest.raises(ZeroDivisionError):
            await fails(loses=loses)
        assert queue(saver) == []


@pytest.mark.parametrize("year", [1980, 2100])
async def test_clocks_of_processes_do_not_matter(lasting_url: str, saver: SQLAlchemySaver, year: int) -> None:
    days = Days()
    days.go_to((year - 2026) * 365)
    async with SQLAlchemySaver.from_conn_string(lasting_url, clock=days) as wrong:
        async with wrong.ahold("t", label="wrong"):
            with pytest.raises(ThreadBusy) as raised:
                await elsewhere(holding(saver, "b", [], wait=0))
            assert raised.value.until is not None
            # That of the tests and that of the database are this machine's.
            assert raised.value.until.year not in (1980, 2100)
        async with saver.ahold("t"):
            with pytest.raises(ThreadBusy):
                await elsewhere(holding(wrong, "b", [], wait=0))


async def test_reads_and_threads_that_nobody_holds_are_free(saver: SQLAlchemySaver, other: SQLAlchemySaver) -> None:
    await put(saver, config("t"), {"n": 1})
    async with saver.ahold("t"):
        assert await other.aget_tuple(config("t")) is not None
        assert len(await other.alist(config("t"))) == 1
        await put(other, config("u"), {"n": 1})


async def test_closing_a_saver_gives_back_what_it_holds(saver: SQLAlchemySaver, lasting_url: str) -> None:
    closing = SQLAlchemySaver.from_conn_string(lasting_url)
    await taken(closing, "a")
    assert queue(saver) == ["a"]
    await closing.aclose()
    assert queue(saver) == []


def test_synchronous_holders_wait_for_each_other(lasting_url: str) -> None:
    order: list[str] = []
    with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        saver.setup()

        def work(label: str) -> None:
            with saver.hold("t", label=label):
                order.append(f"{label} begins")
                made = checkpoint({"n": label})
                saver.put(config("t"), made, metadata(), made["channel_versions"])
                saver.put_writes(config("t", made["id"]), [("n", 1)], "task")
                order.append(f"{label} ends")

        threads = [threading.Thread(target=work, args=(label,), name=label) for label in "abcd"]
        with saver.hold("t", label="first"):
            for thread in threads:
                thread.start()
            while len(queue(saver)) < 5:
                pass
            with pytest.raises(ThreadBusy):
                Context().run(work_at_once, saver)
            assert order == []
        for thread in threads:
            thread.join()
        assert sorted(order[::2]) == [f"{label} begins" for label in "abcd"]
        assert [entry[0] for entry in order[::2]] == [entry[0] for entry in order[1::2]]
        assert rows(saver)["ckpt_checkpoint"] == 4


def work_at_once(saver: SQLAlchemySaver) -> None:
    with saver.hold("t", wait=0):
        raise AssertionError


def test_a_lost_lease_in_plain_code(lasting_url: str) -> None:
    with SQLAlchemySaver.from_conn_string(lasting_url) as saver, SQLAlchemySaver.from_conn_string(lasting_url) as other:
        saver.setup()
        made = checkpoint({"n": 1})

        def steal() -> None:
            with other.hold("t", wait=0):
                pass

        def goes_on() -> None:
            with saver.hold("t") as lease:
                pass_time(saver, TTL)
                Context().run(steal)
                with pytest.raises(LeaseLost):
                    saver.put(config("t"), made, metadata(), made["channel_versions"])
                with pytest.raises(LeaseLost):
                    lease.check()

        with pytest.raises(LeaseLost):
            goes_on()
        assert saver.get_tuple(config("t")) is None


@pytest.mark.parametrize(
    "options",
    [
        *({"wait": wait} for wait in (-1, None, float("inf"))),
        *({"ttl": ttl} for ttl in (0.5, True)),
        *({"label": label} for label in (7, "a\0b", "\ud800", "x" * 201)),
    ],
    ids=str,
)
async def test_wrong_arguments_are_refused(sqlite_url: str, options: dict[str, Any]) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        with pytest.raises(InvalidConfig, match=next(iter(options))):
            async with saver.ahold("t", **options):
                pass
        with pytest.raises(InvalidConfig, match="thread"):
            async with saver.ahold("x" * 2_000):
                pass
