"""Threads at a glance: true after everything that changes a thread, in order, page by page, by the tags of their checkpoints."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from ckptstore import SQLAlchemySaver, threads
from ckptstore.errors import InvalidConfig, KeyNotIndexed
from ckptstore.statements import CHECKPOINT
from tests.build import chain, checkpoint, config, metadata, put
from tests.test_tags import FILTERS, model


class Clock:
    """Moves by a second with each look at it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=2)
        return self.now


async def glances(saver: SQLAlchemySaver) -> dict[str, tuple[int, int]]:
    return {thread.thread_id: (thread.checkpoints, thread.size) for thread in await saver.alist_threads()}


async def counted(saver: SQLAlchemySaver) -> dict[str, tuple[int, int]]:
    """The same from the checkpoints themselves."""
    query = CHECKPOINT.select().where(CHECKPOINT.c.support.is_(False))
    rows = saver.store.database.read(lambda connection: connection.execute(query).mappings().all()).result()
    found: dict[str, tuple[int, int]] = {}
    for row in rows:
        number, size = found.get(row["thread_id"], (0, 0))
        found[row["thread_id"]] = (number + 1, size + row["size"])
    return found


async def test_a_thread_counts_its_checkpoints_through_everything_that_changes_them(saver: SQLAlchemySaver) -> None:
    for n in range(4):
        await chain(saver, f"t{n}", 3 + n, run_id=f"run-{n}")
    assert await glances(saver) == await counted(saver)
    assert {number for number, _ in (await glances(saver)).values()} == {3, 4, 5, 6}
    await saver.adelete_thread("t0")
    await saver.aprune(["t1"])
    await saver.acopy_thread("t2", "copy")
    await saver.acopy_thread("t2", "t3")
    assert await glances(saver) == await counted(saver)
    await saver.adelete_for_runs(["run-2"])
    assert await glances(saver) == await counted(saver)
    await saver.aprune(["t3"], strategy="delete")
    assert await glances(saver) == await counted(saver) == {"t1": (1, (await counted(saver))["t1"][1])}


async def test_a_checkpoint_that_is_put_again_counts_once_with_its_new_size(saver: SQLAlchemySaver) -> None:
    made = checkpoint({"a": "short"})
    for value in ("short", "long" * 50, "short"):
        made["channel_values"] = {"a": value}
        made["channel_versions"] = {"a": f"{value}.1"}
        await saver.aput(config("t"), made, metadata(), made["channel_versions"])
        assert await glances(saver) == await counted(saver)
    both = [saver.aput(config("t"), made, metadata(step=n), made["channel_versions"]) for n in range(10)]
    await asyncio.gather(*both)
    assert await glances(saver) == await counted(saver)
    assert (await glances(saver))["t"][0] == 1


async def test_many_tasks_on_one_thread_and_on_many_are_counted(saver: SQLAlchemySaver) -> None:
    await asyncio.gather(*(put(saver, config(f"t{n % 3}"), {"n": n}) for n in range(60)))
    assert await glances(saver) == await counted(saver)
    assert [number for number, _ in (await glances(saver)).values()] == [20, 20, 20]


async def test_two_savers_on_one_database_count_together(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as one, SQLAlchemySaver.from_conn_string(lasting_url) as other:
        await asyncio.gather(*(put(saver, config("t"), {"n": n}) for n in range(20) for saver in (one, other)))
        assert (await glances(one))["t"][0] == 40
        assert await glances(one) == await counted(other)


async def test_the_most_recently_active_come_first_and_pages_give_each_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_PAGE_SIZE", 3)
    async with SQLAlchemySaver.from_conn_string(url, clock=Clock()) as saver:
        for n in range(10):
            await put(saver, config(f"t{n}"))
        await put(saver, config("t4"))
        order = ["t4", "t9", "t8", "t7", "t6", "t5", "t3", "t2", "t1", "t0"]
        listed = await saver.alist_threads()
        assert [thread.thread_id for thread in listed] == order
        assert all(thread.created_at <= thread.updated_at for thread in listed)
        assert [thread.thread_id for thread in saver.list_threads(order_by="thread_id")] == sorted(order)
        first = await saver.alist_threads(limit=4)
        await put(saver, config("t9"))
        rest = await saver.alist_threads(after=first[-1])
        assert [thread.thread_id for thread in [*first, *rest]] == order
        by_id = await saver.alist_threads(order_by="thread_id", limit=4)
        assert [thread.thread_id for thread in await saver.alist_threads(order_by="thread_id", after=by_id[-1], limit=1)] == ["t4"]
        assert await saver.alist_threads(limit=0) == []


async def test_a_paused_listing_holds_up_nobody(saver: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_PAGE_SIZE", 2)
    for n in range(6):
        await put(saver, config(f"t{n}"))
    listing = saver.alist_threads(order_by="thread_id")
    first = await anext(listing)
    await put(saver, config("t0"))
    await saver.adelete_thread("t5")
    assert [first.thread_id, *[thread.thread_id async for thread in listing]] == ["t0", "t1", "t2", "t3", "t4"]


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(FILTERS)
def test_a_thread_is_found_by_any_of_its_checkpoints(url: str, wanted: dict[str, Any]) -> None:
    async def run() -> None:
        async with SQLAlchemySaver.from_conn_string(url) as saver:
            for n, value in enumerate([None, 1, 1.5, "a", "'", {"a": 1}, [1, "a"], {}, []]):
                await chain(saver, f"t{n}", 2, **{key: value for key in wanted if n % 2 or key != "a"})
            expected = {
                c.config["configurable"]["thread_id"]
                for c in await saver.alist(None)
                if all(model(c.metadata.get(key, ...), value) for key, value in wanted.items())
            }
            assert {thread.thread_id for thread in await saver.alist_threads(filter=wanted)} == expected
            for thread in await saver.alist_threads():
                await saver.adelete_thread(thread.thread_id)

    asyncio.run(run())


@pytest.mark.parametrize("wrong", [{"order_by": "size"}, {"after": "t1"}, {"limit": -1}, {"limit": True}], ids=str)
async def test_arguments_without_a_meaning_are_refused(saver: SQLAlchemySaver, wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(InvalidConfig, match="ordered by" if name == "order_by" else name):
        saver.alist_threads(**wrong)


async def test_a_key_that_is_not_indexed_is_said(saver: SQLAlchemySaver) -> None:
    saver.tag_keys = type(saver.tag_keys)(exclude=("user",))
    with pytest.raises(KeyNotIndexed, match="'user'"):
        saver.alist_threads(filter={"user": "ada"})
