"""Deletions leave nothing behind and change nothing that stays, also beside readers and writers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.types import TASKS, _DeltaSnapshot

from ckptstore import RetentionPolicy, SQLAlchemySaver, prune_old_checkpoints
from ckptstore.maintenance import delete
from tests.support.build import chain, checkpoint, config, metadata, put
from tests.support.rows import rows
from tests.support.transfers import pair


async def test_nothing_is_left_after_everything_was_deleted(saver: SQLAlchemySaver) -> None:
    for n in range(3):
        configs = await chain(saver, f"t{n}", 4, run_id=f"r{n}")
        await saver.aput_writes(configs[-1], [("x", 1)], "task")
        await put(saver, config(f"t{n}", checkpoint_ns="sub"), {"a": 1}, run_id=f"r{n}")
    await saver.aput_writes(config("t9", "never"), [("x", 1)], "task")
    await saver.adelete_thread("t0")
    await saver.adelete_for_runs(["r1"])
    await saver.aprune(["t2"], strategy="delete")
    assert set(rows(saver)) == {"ckpt_thread", "ckpt_write"}
    assert await prune_old_checkpoints(saver, days=0) == 0
    assert rows(saver) == {}


async def test_pruning_to_the_newest_keeps_the_values_that_it_shares_with_older_ones(saver: SQLAlchemySaver) -> None:
    first = checkpoint({"shared": [1, 2], "n": 0}, {"shared": "1", "n": "1"})
    where = await saver.aput(config("t"), first, metadata(0), {"shared": "1", "n": "1"})
    for step in range(1, 4):
        made = checkpoint({"shared": [1, 2], "n": step}, {"shared": "1", "n": str(step + 1)})
        where = await saver.aput(where, made, metadata(step), {"n": str(step + 1)})
    before = await saver.aget_tuple(where)
    assert before is not None
    await saver.aprune(["t"])
    assert await saver.aget_tuple(where) == before._replace(parent_config=None)
    assert rows(saver)["ckpt_checkpoint"] == 1
    assert rows(saver)["ckpt_channel"] == 1


# What a channel was before it was rebuilt from writes is its first snapshot: as a number it has no row of its own.
@pytest.mark.parametrize("stored", [_DeltaSnapshot([3]), ["plain"], 3, None], ids=str)
async def test_the_ancestors_of_a_delta_channel_stay_back_to_its_snapshot(saver: SQLAlchemySaver, stored: Any) -> None:
    where = await put(saver, config("t"), {"d": 0}, step=0)
    for step in range(1, 8):
        value = {"d": stored} if step == 3 else {}
        counted = {} if step == 3 else {"counters_since_delta_snapshot": {"d": [1, 1]}}
        made = checkpoint(value, {"d": f"{step + 1:010}"})
        where = await saver.aput(where, made, metadata(step, **counted), made["channel_versions"])
        await saver.aput_writes(where, [("d", step)], f"task-{step}")
    before = await saver.aget_delta_channel_history(config=where, channels=["d"])
    assert before["d"]["seed"] == stored
    await saver.aprune(["t"])
    assert await saver.aget_delta_channel_history(config=where, channels=["d"]) == before
    assert [c.metadata["step"] for c in await saver.alist(config("t"))] == [7]
    assert rows(saver)["ckpt_checkpoint"] == 5
    assert await saver.alist(None, filter={"step": 5}) == []
    assert await saver.aget_tuple(where) is not None
    await saver.aprune(["t"])
    assert await saver.aget_delta_channel_history(config=where, channels=["d"]) == before
    assert rows(saver)["ckpt_checkpoint"] == 5
    await saver.aprune(["t"], strategy="delete")
    assert rows(saver) == {}


async def test_the_parent_of_an_old_format_stays_for_its_sends(saver: SQLAlchemySaver) -> None:
    parent = await put(saver, config("t"))
    await saver.aput_writes(parent, [(TASKS, "send")], "task")
    where = await saver.aput(parent, checkpoint({"x": 1}, {"x": "1"}, v=1), metadata(1), {"x": "1"})
    before = await saver.aget_tuple(where)
    assert before is not None
    await saver.aprune(["t"])
    assert await saver.aget_tuple(where) == before._replace(parent_config=None)
    assert before.checkpoint["channel_values"][TASKS] == ["send"]


async def test_a_read_beside_a_deletion_is_whole_or_nothing(saver: SQLAlchemySaver) -> None:
    values = {f"c{n}": "x" * 100 for n in range(20)}
    seen: set[int | None] = set()

    async def read() -> None:
        while not gone.done():
            found = await saver.aget_tuple(config("t"))
            seen.add(len(found.checkpoint["channel_values"]) if found else None)

    async def delete() -> None:
        for _ in range(20):
            await put(saver, config("t"), values)
            await saver.adelete_thread("t")

    gone = asyncio.ensure_future(delete())
    await asyncio.gather(gone, read(), read())
    assert seen <= {20, None}


async def test_pruning_beside_writers_breaks_nobody(saver: SQLAlchemySaver) -> None:
    async def write(thread_id: str) -> None:
        await chain(saver, thread_id, 20)

    async def prune() -> None:
        for _ in range(20):
            await saver.aprune([f"t{n}" for n in range(5)])

    await asyncio.gather(prune(), *[write(f"t{n}") for n in range(5)])
    for n in range(5):
        found = await saver.aget_tuple(config(f"t{n}"))
        assert found is not None
        assert found.checkpoint["channel_values"] == {"n": 19}


async def test_a_put_after_a_deletion_by_somebody_else_stores_what_it_carries_over(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver, SQLAlchemySaver.from_conn_string(lasting_url) as other:
        first = checkpoint({"big": [1, 2, 3], "n": 0}, {"big": "1", "n": "1"})
        where = await saver.aput(config("t"), first, metadata(), {"big": "1", "n": "1"})
        await other.adelete_thread("t")
        made = checkpoint({"big": [1, 2, 3], "n": 1}, {"big": "1", "n": "2"})
        where = await saver.aput(where, made, metadata(1), {"n": "2"})
        found = await other.aget_tuple(where)
        assert found is not None
        assert found.checkpoint["channel_values"] == {"big": [1, 2, 3], "n": 1}


async def test_time_based_pruning_keeps_what_is_young(saver: SQLAlchemySaver) -> None:
    await chain(saver, "t", 3)
    assert await prune_old_checkpoints(saver, days=30) == 0
    assert (await saver.aprune_older_than(timedelta(hours=1))).checkpoints == 0
    assert await prune_old_checkpoints(saver, days=0) == 3
    assert rows(saver) == {}


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
@pytest.mark.parametrize(
    "last",
    ["UPDATE ckpt_thread SET generation = generation + 1 WHERE thread_id = 'race'", "DELETE FROM ckpt_thread WHERE thread_id = 'race'"],
    ids=["pruned", "deleted"],
)
async def test_a_put_that_waits_for_a_deletion_notices_what_went(
    postgres_url: str, driver: str, last: str, pytestconfig: pytest.Config
) -> None:
    url = postgres_url.replace("postgresql:", f"postgresql+{driver}:")
    # On a cluster it waits on the node of the thread.
    waiting = f"SELECT count(*) FROM {'citus_lock_waits' if pytestconfig.getoption('--citus') else 'pg_locks WHERE NOT granted'}"
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await saver.adelete_thread("race")
        first = checkpoint({"kept": [1, 2, 3], "n": 0}, {"kept": "1", "n": "1"})
        where = await saver.aput(config("race"), first, metadata(), {"kept": "1", "n": "1"})
        with psycopg.connect(postgres_url) as deleting, psycopg.connect(postgres_url, autocommit=True) as looking:
            deleting.execute("SELECT 1 FROM ckpt_thread WHERE thread_id = 'race' FOR UPDATE")
            deleting.execute("DELETE FROM ckpt_channel WHERE thread_id = 'race'")
            deleting.execute("DELETE FROM ckpt_checkpoint WHERE thread_id = 'race'")
            deleting.execute(last)
            made = checkpoint({"kept": [1, 2, 3], "n": 1}, {"kept": "1", "n": "2"})
            # The put's snapshot is from before the deletion: it still sees the value that it carries over.
            pending = asyncio.ensure_future(saver.aput(where, made, metadata(1), {"n": "2"}))
            for _ in range(10_000):
                await asyncio.sleep(0)
                if looking.execute(waiting).fetchone() != (0,):
                    break
            assert not pending.done()
            deleting.commit()
        found = await saver.aget_tuple(await pending)
        assert found is not None
        assert found.checkpoint["channel_values"] == {"kept": [1, 2, 3], "n": 1}
        assert [thread.checkpoints for thread in await saver.alist_threads() if thread.thread_id == "race"] == [1]
        await saver.adelete_thread("race")


def _restored_from_memory(saver: SQLAlchemySaver, backup: list[CheckpointTuple]) -> None:
    memory = InMemorySaver()
    for each in reversed(backup):
        memory.put(each.parent_config or config("T"), each.checkpoint, each.metadata, each.checkpoint["channel_versions"])
    saver.import_from(memory)


RESTORED: dict[str, Callable[[SQLAlchemySaver, list[CheckpointTuple], SQLAlchemySaver], object]] = {
    "copied": lambda saver, _backup, _other: saver.copy_thread("copy", "T"),
    "a part copied": lambda saver, _backup, _other: saver.copy_thread("copy", "T", newest=4),
    "copied from another store": lambda saver, _backup, other: other.copy_to(saver),
    "imported": lambda saver, backup, _other: _restored_from_memory(saver, backup),
}


@pytest.mark.parametrize("way", RESTORED)
def test_what_is_restored_after_a_deletion_that_died_stays(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(delete, "_CHECKPOINTS_AT_ONCE", 2)
    with pair(request, tmp_path, "sqlite", "sqlite") as (saver, other):
        asyncio.run(chain(saver, "T", 4))
        backup = list(saver.list(config("T")))
        saver.copy_thread("T", "copy")
        saver.copy_to(other, threads=["T"])
        # The process dies when it has noted what it is going to delete.
        begun = saver.store.runner.write(partial(delete.delete_thread, thread_id="T")).result()
        assert isinstance(begun, delete.LargeThread)
        RESTORED[way](saver, backup, other)
        saver.prune_by(RetentionPolicy(keep_last=100))
        assert [each.checkpoint["id"] for each in saver.list(config("T"))] == [each.checkpoint["id"] for each in backup]
