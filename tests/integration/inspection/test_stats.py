"""What a store holds."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ckptstore import SQLAlchemySaver, TagKeys
from ckptstore.db.times import to_microseconds
from ckptstore.inspection import stats as stats_module
from ckptstore.inspection.stats import StatsRequest, StoreStats, TagIndex, store_stats
from ckptstore.maintenance.reindex import begin_rebuilding, store_keys
from ckptstore.runtime.steps import drive_async
from tests.support.build import chain
from tests.support.clocks import Days


async def measured(saver: SQLAlchemySaver, days: int = 14, largest: int = 10) -> StoreStats:
    return await drive_async(store_stats(saver.store, StatsRequest(to_microseconds(saver.clock()), days, largest)))


async def test_an_empty_store_holds_nothing(saver: SQLAlchemySaver) -> None:
    found = await measured(saver, days=2)
    assert (found.threads, found.checkpoints, found.serialised_bytes, found.sample) == (0, 0, 0, None)
    assert (found.objects, found.largest_threads, [day.checkpoints for day in found.growth]) == ([], [], [0, 0])
    assert found.tags == TagIndex(("*",), (), is_rebuilding=False)


async def test_threads_checkpoints_and_growth_by_day(saver: SQLAlchemySaver) -> None:
    clock = Days()
    saver.clock = clock
    sizes = {}
    for number in range(3):
        await chain(saver, f"t{number}", number + 1)
        clock.now += timedelta(days=2)
    listed = await saver.alist_threads()
    sizes = {thread.thread_id: thread.size for thread in listed}
    found = await measured(saver, days=7, largest=2)
    assert (found.threads, found.checkpoints, found.serialised_bytes) == (3, 6, sum(sizes.values()))
    assert [(of.thread_id, of.checkpoints, of.bytes) for of in found.largest_threads] == [("t2", 3, sizes["t2"]), ("t1", 2, sizes["t1"])]
    assert [day.checkpoints for day in found.growth] == [1, 0, 2, 0, 3, 0, 0]
    assert sum(day.bytes for day in found.growth) == sum(sizes.values())
    assert found.growth[-1].day == clock().date()
    assert [day.checkpoints for day in (await measured(saver, days=3)).growth] == [3, 0, 0]


async def test_bytes_of_many_checkpoints_are_estimated(saver: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    await chain(saver, "t", 5)
    exact = await measured(saver, days=1)
    monkeypatch.setattr(stats_module, "_MAX_CHECKPOINTS_WITH_BYTES", 4)
    estimated = await measured(saver, days=1)
    assert (exact.growth_is_estimated, estimated.growth_is_estimated) == (False, True)
    assert estimated.growth == exact.growth


async def test_the_index_says_which_keys_it_has(saver: SQLAlchemySaver) -> None:
    assert (await measured(saver)).tags == TagIndex(("*",), (), is_rebuilding=False)
    saver.store.runner.write(lambda db: store_keys(db, TagKeys(include=("a", "b"), exclude=("b/c",)))).result()
    assert (await measured(saver)).tags == TagIndex(("a", "b"), ("b/c",), is_rebuilding=False)
    saver.store.runner.write(begin_rebuilding).result()
    assert (await measured(saver)).tags.is_rebuilding
