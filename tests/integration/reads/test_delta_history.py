"""The writes from which a delta channel is rebuilt: they follow parents, back to the nearest stored value."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from ckptstore import SQLAlchemySaver
from tests.support.build import checkpoint, config, metadata, put


@pytest.mark.parametrize("seed", [_DeltaSnapshot(["seed"]), ["plain"], 5, "", None], ids=str)
async def test_history_follows_parents_and_ends_at_the_nearest_value(saver: SQLAlchemySaver, seed: Any) -> None:
    root = await put(saver, config("t"), {"d": seed})
    await saver.aput_writes(root, [("d", "from root")], "t0")
    middle = await saver.aput(root, checkpoint({}, {"d": "2"}), metadata(1), {"d": "2"})
    await saver.aput_writes(middle, [("d", "on the way"), ("other", "no")], "t1")
    side = await saver.aput(root, checkpoint({}, {"d": "3"}), metadata(1), {"d": "3"})
    await saver.aput_writes(side, [("d", "a fork's")], "t2")
    target = await saver.aput(middle, checkpoint({}, {"d": "4"}), metadata(2), {"d": "4"})
    await saver.aput_writes(target, [("d", "pending")], "t3")
    history = await saver.aget_delta_channel_history(config=target, channels=["d", "never"])
    assert history["d"] == {"writes": [("t0", "d", "from root"), ("t1", "d", "on the way")], "seed": seed}
    assert history["never"] == {"writes": []}
    assert await saver.aget_delta_channel_history(config=target, channels=[]) == {}


async def test_history_of_hundreds_of_ancestors_is_whole(saver: SQLAlchemySaver) -> None:
    where = await put(saver, config("t"), {"d": _DeltaSnapshot([])})
    for step in range(600):
        writes = saver.aput_writes(where, [("d", step)], f"task-{step}")
        made = checkpoint({}, {"d": str(step)})
        _, where = await asyncio.gather(writes, saver.aput(where, made, metadata(step), {"d": str(step)}))
    history = await saver.aget_delta_channel_history(config=where, channels=["d"])
    assert [write[2] for write in history["d"]["writes"]] == list(range(600))
    assert history["d"]["seed"] == _DeltaSnapshot([])


async def test_history_ends_where_ids_repeat(saver: SQLAlchemySaver) -> None:
    one, two = checkpoint({}, {"d": "1"}), checkpoint({}, {"d": "1"})
    await saver.aput(config("t", two["id"]), one, metadata(), {"d": "1"})
    await saver.aput(config("t", one["id"]), two, metadata(), {"d": "1"})
    for made in (one, two):
        await saver.aput_writes(config("t", made["id"]), [("d", made["id"])], "task")
    history = await saver.aget_delta_channel_history(config=config("t", two["id"]), channels=["d"])
    assert history["d"] == {"writes": [("task", "d", one["id"])]}
