"""The counts of a thread stay true through everything that changes them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from ckptstore import SQLAlchemySaver
from ckptstore.errors import SerializationFailed
from tests.support.build import chain, checkpoint, config, metadata, put
from tests.support.clocks import Clock
from tests.support.rows import counted, listed_counts


async def test_a_thread_counts_its_checkpoints_through_everything_that_changes_them(saver: SQLAlchemySaver) -> None:
    for n in range(4):
        await chain(saver, f"t{n}", 3 + n, run_id=f"run-{n}")
    assert await listed_counts(saver) == await counted(saver)
    assert {number for number, _ in (await listed_counts(saver)).values()} == {3, 4, 5, 6}
    await saver.adelete_thread("t0")
    await saver.aprune(["t1"])
    await saver.acopy_thread("t2", "copy")
    await saver.acopy_thread("t2", "t3")
    assert await listed_counts(saver) == await counted(saver)
    await saver.adelete_for_runs(["run-2"])
    assert await listed_counts(saver) == await counted(saver)
    await saver.aprune(["t3"], strategy="delete")
    assert await listed_counts(saver) == await counted(saver) == {"t1": (1, (await counted(saver))["t1"][1])}


async def test_a_checkpoint_that_is_put_again_counts_once_with_its_new_size(saver: SQLAlchemySaver) -> None:
    made = checkpoint({"a": "short"})
    for value in ("short", "long" * 50, "short"):
        made["channel_values"] = {"a": value}
        made["channel_versions"] = {"a": f"{value}.1"}
        await saver.aput(config("t"), made, metadata(), made["channel_versions"])
        assert await listed_counts(saver) == await counted(saver)
    both = [saver.aput(config("t"), made, metadata(step=n), made["channel_versions"]) for n in range(10)]
    await asyncio.gather(*both)
    assert await listed_counts(saver) == await counted(saver)
    assert (await listed_counts(saver))["t"][0] == 1


async def test_many_tasks_on_one_thread_and_on_many_are_counted(saver: SQLAlchemySaver) -> None:
    await asyncio.gather(*(put(saver, config(f"t{n % 3}"), {"n": n}) for n in range(60)))
    assert await listed_counts(saver) == await counted(saver)
    assert [number for number, _ in (await listed_counts(saver)).values()] == [20, 20, 20]


async def test_two_savers_on_one_database_count_together(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as one, SQLAlchemySaver.from_conn_string(lasting_url) as other:
        await asyncio.gather(*(put(saver, config("t"), {"n": n}) for n in range(20) for saver in (one, other)))
        assert (await listed_counts(one))["t"][0] == 40
        assert await listed_counts(one) == await counted(other)


async def assert_counts(saver: SQLAlchemySaver) -> None:
    """What each thread says of itself is what a reader of its checkpoints finds."""
    listed = await listed_counts(saver)
    assert {thread_id: of for thread_id, of in listed.items() if of[0]} == await counted(saver)
    for thread_id, (number, _) in listed.items():
        assert len(await saver.alist({"configurable": {"thread_id": thread_id}})) == number


async def delta_chain(saver: SQLAlchemySaver, thread_id: str) -> list[Any]:
    """A thread whose newest checkpoint is rebuilt from its ancestors, back to the fourth."""
    where, configs = config(thread_id), []
    for step in range(8):
        value = {"d": _DeltaSnapshot([step])} if step == 3 else {}
        counters = {} if step == 3 else {"counters_since_delta_snapshot": {"d": [1, 1]}}
        made = checkpoint(value, {"d": f"{step + 1:010}"})
        where = await saver.aput(where, made, metadata(step, **counters), made["channel_versions"])
        await saver.aput_writes(where, [("d", step)], f"task-{step}")
        configs.append(where)
    return configs


async def test_checkpoints_that_are_only_kept_for_others_are_not_counted(saver: SQLAlchemySaver) -> None:
    await delta_chain(saver, "t")
    await saver.aprune(["t"])
    assert (await listed_counts(saver))["t"][0] == 1
    await assert_counts(saver)
    await put(saver, config("t"), {"n": 1})
    await saver.aprune(["t"])
    await assert_counts(saver)
    await saver.acopy_thread("t", "copy")
    await assert_counts(saver)


async def test_a_hidden_checkpoint_that_is_put_again_counts_again(saver: SQLAlchemySaver) -> None:
    configs = await delta_chain(saver, "t")
    await saver.aprune(["t"])
    made = checkpoint({"n": "again"}, id=configs[5]["configurable"]["checkpoint_id"])
    await saver.aput(configs[4], made, metadata(5), made["channel_versions"])
    assert (await listed_counts(saver))["t"][0] == 2
    await assert_counts(saver)
    assert len(await saver.alist(None, filter={"step": 5})) == 1


async def test_namespaces_count_together(saver: SQLAlchemySaver) -> None:
    for namespace in ("", "sub", "sub|deeper"):
        for n in range(3):
            await put(saver, config("t", checkpoint_ns=namespace), {"n": n})
    await assert_counts(saver)
    await saver.aprune(["t"])
    assert (await listed_counts(saver))["t"][0] == 3
    await assert_counts(saver)


async def test_writes_alone_make_a_thread_without_checkpoints(saver: SQLAlchemySaver) -> None:
    await saver.aput_writes(config("t", "never"), [("x", 1)], "task")
    assert await listed_counts(saver) == {"t": (0, 0)}
    assert await saver.alist_threads(filter={"nothing": {"$exists": False}}) == []
    assert await saver.alist_threads(filter={"nothing": {"$ne": 1}}) == []
    await put(saver, config("t"), {"x": 1})
    await assert_counts(saver)


async def test_a_copy_onto_a_thread_with_the_same_checkpoints_counts_each_once(saver: SQLAlchemySaver) -> None:
    configs = await chain(saver, "t", 4)
    await saver.acopy_thread("t", "copy")
    await chain(saver, "copy", 2)
    await put(saver, configs[-1], {"n": "more"})
    for _ in range(2):
        await saver.acopy_thread("t", "copy")
        await assert_counts(saver)
    assert (await listed_counts(saver))["copy"][0] == 7
    await saver.acopy_thread("t", "t")
    await assert_counts(saver)


async def test_pruning_by_age_counts_what_stays(url: str) -> None:
    clock = Clock(step_seconds=2)
    async with SQLAlchemySaver.from_conn_string(url, clock=clock) as saver:
        await chain(saver, "old", 3)
        await chain(saver, "both", 3)
        moment = clock.now
        await chain(saver, "both", 2)
        await delta_chain(saver, "young")
        await saver.aprune_older_than(clock() - moment)
        await assert_counts(saver)
        assert {thread_id: number for thread_id, (number, _) in (await listed_counts(saver)).items()} == {"both": 2, "young": 8}


async def test_counts_stay_true_while_threads_are_written_pruned_copied_and_deleted_at_once(saver: SQLAlchemySaver) -> None:
    async def again(made: Any) -> None:
        for n in range(10):
            await saver.aput(config("t1"), made, metadata(n), made["channel_versions"])

    async def disturb() -> None:
        for _ in range(6):
            await saver.aprune(["t0", "t1"])
            await saver.acopy_thread("t0", "t1")
            await saver.adelete_thread("t2")
            await saver.adelete_for_runs(["gone"])

    made = checkpoint({"a": "x" * 100})
    writers = [chain(saver, f"t{n % 3}", 10, run_id="gone" if n % 2 else "stays") for n in range(6)]
    await asyncio.gather(disturb(), again(made), again(made), *writers)
    await assert_counts(saver)


async def test_a_thread_that_was_deleted_counts_from_nothing_again(saver: SQLAlchemySaver) -> None:
    for _ in range(3):
        await chain(saver, "t", 3)
        await saver.adelete_thread("t")
        assert await saver.alist_threads() == []
    await chain(saver, "t", 2)
    assert (await listed_counts(saver))["t"][0] == 2
    await assert_counts(saver)


async def test_a_put_that_is_refused_is_not_counted(saver: SQLAlchemySaver) -> None:
    with pytest.raises(SerializationFailed):
        await put(saver, config("t"), {"a": 1}, when=object())
    assert await saver.alist_threads() == []
    await put(saver, config("t"), {"a": 1})
    await assert_counts(saver)
