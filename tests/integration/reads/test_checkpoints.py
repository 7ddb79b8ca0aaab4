"""The parent of a checkpoint, as reads give it: one that no read finds is None."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from sqlalchemy import select
from sqlalchemy.orm import Session

from ckptstore import SQLAlchemySaver
from ckptstore.models import Checkpoint
from tests.support.build import chain, checkpoint, config, metadata

# A driver of each: what they are sent is the same.
on_both = pytest.mark.parametrize("url", ["sqlite", "asyncpg"], indirect=True)


async def parents(saver: SQLAlchemySaver, thread_id: str = "t") -> list[RunnableConfig | None]:
    """The parents of a thread's checkpoints, newest first; asserts that all ways of reading agree."""
    listed = await saver.alist(config(thread_id))
    assert [await saver.aget_tuple(found.config) for found in listed] == listed
    assert await saver.aget_tuple(config(thread_id)) == (listed[0] if listed else None)
    query = select(Checkpoint).where(Checkpoint.thread_id == thread_id, Checkpoint.hidden.is_(False))
    query = query.order_by(Checkpoint.checkpoint_id.desc())
    rows = saver.store.runner.read(lambda db: Session(db.connection).scalars(query).all()).result()
    assert await saver.aload(rows) == listed
    return [found.parent_config for found in listed]


@on_both
async def test_a_parent_that_was_deleted_is_none(saver: SQLAlchemySaver) -> None:
    configs = await chain(saver, "t", 4)
    assert await parents(saver) == [*reversed(configs[:-1]), None]
    await saver.aprune(["t"])
    assert await parents(saver) == [None]


@on_both
async def test_the_parents_of_deleted_runs_and_of_copies_are_none_where_they_are_not_there(saver: SQLAlchemySaver) -> None:
    where, configs = config("t"), []
    for step in range(4):
        made = checkpoint()
        where = await saver.aput(where, made, metadata(step, run_id="second" if step == 1 else "other"), {})
        configs.append(where)
    await saver.adelete_for_runs(["second"])
    assert await parents(saver) == [configs[2], None, None]
    await saver.acopy_thread("t", "copy")
    assert [found and found["configurable"]["checkpoint_id"] for found in await parents(saver, "copy")] == [
        configs[2]["configurable"]["checkpoint_id"],
        None,
        None,
    ]


@on_both
async def test_a_hidden_parent_is_none_and_still_rebuilds_its_child(saver: SQLAlchemySaver) -> None:
    counted: dict[str, Any] = {"counters_since_delta_snapshot": {"d": [1, 1]}}
    where = config("t")
    for step in range(3):
        made = checkpoint(versions={"d": f"{step}.x"})
        where = await saver.aput(where, made, metadata(step, **counted), {})
        await saver.aput_writes(where, [("d", step)], "task")
    before = await saver.aget_delta_channel_history(config=where, channels=["d"])
    await saver.aprune(["t"])
    assert await parents(saver) == [None]
    assert await saver.aget_delta_channel_history(config=where, channels=["d"]) == before
    assert [value for _, _, value in before["d"]["writes"]] == [0, 1]


@on_both
async def test_a_parent_that_arrives_later_is_found_from_then_on(saver: SQLAlchemySaver) -> None:
    parent, child = checkpoint(), checkpoint()
    where = config("t", parent["id"])
    await saver.aput(where, child, metadata(1), {})
    assert await parents(saver) == [None]
    await saver.aput(config("t"), parent, metadata(0), {})
    assert await parents(saver) == [where, None]
