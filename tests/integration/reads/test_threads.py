"""The list of threads: right after everything that changes a thread, in order, page by page, by the tags of their checkpoints."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidConfig, KeyNotIndexed
from ckptstore.reads import planner as search
from ckptstore.reads import threads as reads_threads
from ckptstore.store import listing as store_listing
from tests.support.build import chain, config, put
from tests.support.clocks import Clock
from tests.support.faults import reported_statements
from tests.support.filter_model import FILTERS, METADATA, model, without_nested
from tests.support.listings import ids, walked


async def test_the_most_recently_active_come_first_and_pages_give_each_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_listing, "_PAGE_SIZE", 3)
    monkeypatch.setattr(reads_threads, "_METADATA_PAGE_SIZE", 3)
    async with SQLAlchemySaver.from_conn_string(url, clock=Clock(step_seconds=2)) as saver:
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
    monkeypatch.setattr(store_listing, "_PAGE_SIZE", 2)
    monkeypatch.setattr(reads_threads, "_METADATA_PAGE_SIZE", 2)
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


async def test_a_key_that_is_not_indexed_is_reported(saver: SQLAlchemySaver) -> None:
    saver.tag_keys = type(saver.tag_keys)(exclude=("user",))
    with pytest.raises(KeyNotIndexed, match="'user'"):
        saver.alist_threads(filter={"user": "ada"})


# --- times --------------------------------------------------------------------------------------------------------------


async def test_activity_is_noted_once_a_second_and_the_beginning_once(url: str) -> None:
    clock = Clock(step_seconds=2)
    moments = [clock.now + timedelta(seconds=after) for after in (0, 0.25, 1, 1.5, 90)]
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        noted = []
        for moment in moments:
            saver.clock = lambda moment=moment: moment  # type: ignore[misc]
            await put(saver, config("t"))
            (thread,) = await saver.alist_threads()
            assert thread.created_at == moments[0]
            noted.append(thread.updated_at)
    assert noted == [moments[0], moments[0], moments[0], moments[3], moments[4]]
    assert all(moment.tzinfo is not None for moment in noted)


async def test_a_clock_that_is_set_back_leaves_the_order_alone(url: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    async with SQLAlchemySaver.from_conn_string(url, clock=lambda: now) as saver:
        await put(saver, config("t"))
        now -= timedelta(hours=1)
        await put(saver, config("t"))
        (thread,) = await saver.alist_threads()
        assert thread.updated_at == datetime(2026, 1, 1, tzinfo=UTC)
        assert thread.checkpoints == 2


async def test_threads_of_one_moment_are_parted_by_their_ids(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_listing, "_PAGE_SIZE", 3)
    monkeypatch.setattr(reads_threads, "_METADATA_PAGE_SIZE", 3)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    async with SQLAlchemySaver.from_conn_string(url, clock=lambda: moment) as saver:
        for n in range(10):
            await put(saver, config(f"t{n}"))
        assert ids(await saver.alist_threads()) == [f"t{n}" for n in range(9, -1, -1)]
        assert ids(walked(saver, 2)) == [f"t{n}" for n in range(9, -1, -1)]


# --- pages --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order_by", ["updated_at", "thread_id"])
async def test_pages_miss_nobody_while_other_threads_become_active(url: str, order_by: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_listing, "_PAGE_SIZE", 2)
    monkeypatch.setattr(reads_threads, "_METADATA_PAGE_SIZE", 2)
    async with SQLAlchemySaver.from_conn_string(url, clock=Clock(step_seconds=2)) as saver:
        for n in range(12):
            await put(saver, config(f"t{n:02}"))
        untouched = {f"t{n:02}" for n in range(12) if n % 3}
        listed: list[str] = []
        active = iter([f"t{n:02}" for n in range(12) if n % 3 == 0])
        for thread in walked(saver, 3, order_by=order_by):
            listed.append(thread.thread_id)
            for thread_id in [next(active, "new")]:
                await put(saver, config(thread_id))
    assert untouched <= set(listed)
    assert len([thread_id for thread_id in listed if thread_id in untouched]) == len(untouched)


async def test_a_page_continues_after_a_thread_that_was_deleted(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url, clock=Clock(step_seconds=2)) as saver:
        for n in range(6):
            await put(saver, config(f"t{n}"))
        for order_by, rest in (("updated_at", ["t2", "t1", "t0"]), ("thread_id", ["t4", "t5"])):
            (last,) = [thread for thread in await saver.alist_threads() if thread.thread_id == "t3"]
            await saver.adelete_thread("t3")
            assert ids(await saver.alist_threads(order_by=order_by, after=last)) == rest  # type: ignore[arg-type]
            await put(saver, config("t3"))


@pytest.mark.parametrize("wanted", [None, {"user": "ada"}, {"parents": {}}, {"step": {"$gte": 0}}, {"user": {"$ne": "x"}}], ids=str)
@pytest.mark.parametrize("limit", [0, 1, 2, 3, 4, 7, 8, 100, None])
async def test_no_more_than_the_limit_are_given(wanted: Any, limit: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_listing, "_PAGE_SIZE", 3)
    monkeypatch.setattr(reads_threads, "_METADATA_PAGE_SIZE", 3)
    async with SQLAlchemySaver.from_conn_string(":memory:", clock=Clock(step_seconds=2)) as saver:
        for n in range(7):
            await chain(saver, f"t{n}", 2, user="ada")
        expected = ["t6", "t5", "t4", "t3", "t2", "t1", "t0"][:limit]
        assert ids(await saver.alist_threads(filter=wanted, limit=limit)) == expected
        assert ids(saver.list_threads(filter=wanted, limit=limit)) == expected


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@example([{}, {}, {}, {"a": {"b": None}}], [{"a.b": {"$ne": None}}], 2)
@given(st.lists(METADATA, min_size=4, max_size=14), st.lists(FILTERS, min_size=1, max_size=10), st.sampled_from([2, 1000]))
def test_the_threads_are_the_models(
    url: str, monkeypatch: pytest.MonkeyPatch, written: list[dict[str, Any]], filters: list[dict[str, Any]], bound: int
) -> None:
    monkeypatch.setattr(store_listing, "_PAGE_SIZE", 3)
    monkeypatch.setattr(reads_threads, "_METADATA_PAGE_SIZE", 3)
    monkeypatch.setattr(search, "_COUNT_BOUND", bound)

    async def run() -> None:
        async with SQLAlchemySaver.from_conn_string(url, clock=Clock(step_seconds=2)) as saver:
            for listed in await saver.alist_threads():
                await saver.adelete_thread(listed.thread_id)
            for n, found in enumerate(written):
                await put(saver, config(f"t{n % 7}"), **{f"m{key}": value for key, value in found.items()})
            everything = await saver.alist(None)
            order = ids(await saver.alist_threads())
            for wanted in filters:
                # Where no checkpoint has a key with a dot, it means a nested one: see test_filter_habits.
                prefixed = without_nested({f"m{key}": value for key, value in wanted.items()}, [c.metadata for c in everything])
                matching = {
                    c.config["configurable"]["thread_id"]
                    for c in everything
                    if all(model(c.metadata.get(key, ...), value) for key, value in prefixed.items())
                }
                expected = [thread_id for thread_id in order if thread_id in matching]
                assert ids(await saver.alist_threads(filter=prefixed)) == expected
                assert ids(walked(saver, 2, filter=prefixed)) == expected
                assert ids(await saver.alist_threads(filter=prefixed, order_by="thread_id", limit=2)) == sorted(expected)[:2]

    asyncio.run(run())


async def test_a_listing_of_threads_reads_no_payload(saver: SQLAlchemySaver) -> None:
    for n in range(3):
        await chain(saver, f"t{n}", 3, user="ada")
    with reported_statements(saver, lambda when, statement: read.append(statement)):
        read: list[str] = []
        assert len(await saver.alist_threads(filter={"user": "ada"})) == 3
        assert len(await saver.alist_threads()) == 3
        assert len(await saver.alist_threads(filter={"parents": {}})) == 3
    assert read
    assert not [text for text in read if "ckpt_channel" in text or "ckpt_segment" in text or "body" in text]
