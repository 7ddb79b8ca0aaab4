"""A writer and a collector, each at every step of the other, and either killed at any step."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db.connection import Db
from tests.support.build import config
from tests.support.collector import NO_GRACE, Killed, SharedStore, check, collect_pass, leave_marked, stepped, store

Act = Callable[[SQLAlchemySaver], Awaitable[Any]]


async def steps_of(shared: SharedStore, act: Act, prepare: Act) -> int:
    """How many steps an action has."""
    async with shared.saver() as saver:
        await prepare(saver)
        with stepped(saver) as steps:
            await act(saver)
        await saver.adelete_thread("t")
        for _ in range(3):
            await saver.acollect(grace=NO_GRACE)
        return steps.count


async def store_t(saver: SQLAlchemySaver) -> None:
    await store(saver, "t")


async def forget_blob_url(saver: SQLAlchemySaver) -> None:
    """Make the database forget where its blobs are, so that a writer has one more step."""

    def work(db: Db) -> None:
        db.connection.exec_driver_sql("DELETE FROM ckpt_setting WHERE name = 'blob_url'")

    saver.store.runner.write(work).result()


async def nothing(_saver: SQLAlchemySaver) -> None:
    """Nothing to prepare."""


async def deaths(shared: SharedStore, total: int, act: Act, prepare: Act) -> AsyncIterator[None]:
    """An action that dies before and after each of its steps in turn, each time after the same preparation."""
    for number in range(1, total + 1):
        for when in ("before", "after"):
            async with shared.saver() as saver:
                await prepare(saver)
                with stepped(saver) as steps:
                    getattr(steps, when)[number] = die
                    with pytest.raises(Killed):
                        await act(saver)
            yield


async def test_a_writer_that_dies_at_any_step_leaves_the_old_state_and_nothing_that_stays(shared: SharedStore) -> None:
    total = await steps_of(shared, store_t, forget_blob_url)
    assert total == 3, "registered, uploaded, remembered where"
    async for _ in deaths(shared, total, store_t, forget_blob_url):
        async with shared.saver() as saver:
            assert await saver.aget_tuple(config("t")) is None
        await check(shared, set())


async def test_a_collector_that_dies_at_any_step_is_carried_on_by_the_next(shared: SharedStore) -> None:
    total = await steps_of(shared, collect_pass, leave_marked)
    assert total == 3, "judged, deleted, forgotten"
    async for _ in deaths(shared, total, collect_pass, leave_marked):
        await check(shared, set())


async def die() -> None:
    raise Killed


async def test_a_collector_at_every_step_of_a_writer(shared: SharedStore) -> None:
    total = await steps_of(shared, store_t, nothing)
    for number in range(1, total + 1):
        for when in ("before", "after"):
            for passes in (1, 2, 3):
                async with shared.saver() as writer, shared.saver() as collector:

                    async def collect_now(collector: SQLAlchemySaver = collector, passes: int = passes) -> None:
                        for _ in range(passes):
                            await collect_pass(collector)

                    with stepped(writer) as steps:
                        getattr(steps, when)[number] = collect_now
                        await store(writer, "t")
                await check(shared, {"t"}, then_empty=True)


async def test_a_writer_at_every_step_of_a_collector(shared: SharedStore) -> None:
    total = await steps_of(shared, collect_pass, leave_marked)
    for knows_the_object in (True, False):
        for number in range(1, total + 1):
            for when in ("before", "after"):
                async with shared.saver() as writer, shared.saver() as collector:
                    await leave_marked(writer if knows_the_object else collector)
                    with stepped(collector) as steps:
                        getattr(steps, when)[number] = lambda writer=writer: store(writer, "t")
                        await collect_pass(collector)
                await check(shared, {"t"}, then_empty=True)


async def test_a_writer_that_found_an_object_just_before_it_was_deleted_uploads_anew(shared: SharedStore) -> None:
    async with shared.saver() as writer, shared.saver() as collector:
        await leave_marked(collector)
        size = writer.store.objects.backend.size

        async def size_then_collect(key: str) -> int | None:
            found = await size(key)
            await collect_pass(collector)
            return found

        writer.store.objects.backend.size = size_then_collect  # type: ignore[method-assign]
        await store(writer, "t")
    await check(shared, {"t"})
