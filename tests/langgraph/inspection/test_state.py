"""The state of a checkpoint as structures."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from langgraph.types import Send

from ckptstore import SQLAlchemySaver
from ckptstore.inspection.outline import find_checkpoint
from ckptstore.langgraph.inspection.state import REBUILT, CheckpointState, checkpoint_state
from ckptstore.langgraph.structure.nodes import NotShown, Typed
from ckptstore.runtime.steps import drive_async
from tests.support.build import checkpoint, config, metadata, put
from tests.support.delta_graphs import talk, turns


async def state(saver: SQLAlchemySaver, thread_id: str = "t") -> CheckpointState:
    key = await drive_async(find_checkpoint(saver.store, thread_id, None, None))
    return await drive_async(checkpoint_state(saver.store, key, None))


def contents(found: CheckpointState) -> dict[str, Any]:
    return {name: of.content for name, of in found.channels.items()}


async def test_channels_are_those_that_langgraph_reads(saver: SQLAlchemySaver) -> None:
    values = {"list": [1, {"x": None}], "word": "short", "none": None, "text": "x" * 500, "branch:to:a": None}
    where = await put(saver, config("t"), values, 3, user="ann")
    await saver.aput_writes(where, [("list", [2]), ("branch:to:b", None)], "task", "path")
    found = await state(saver)
    read = await saver.aget_tuple(config("t"))
    assert read is not None
    assert contents(found) == read.checkpoint["channel_values"] == values
    assert {name: of.version for name, of in found.channels.items()} == read.checkpoint["channel_versions"]
    assert [(write.task_id, write.channel, write.content) for write in found.writes] == read.pending_writes
    assert (found.metadata, found.ts, found.format) == (read.metadata, read.checkpoint["ts"], 4)
    assert [name for name, of in found.channels.items() if of.is_internal] == ["branch:to:a"]
    assert found.channels["text"].size == 503


async def test_a_channel_without_a_version_has_none(saver: SQLAlchemySaver) -> None:
    made = checkpoint({"list": [1], "word": "x"}, {})
    await saver.aput(config("t"), made, metadata(), {})
    found = await state(saver)
    assert contents(found) == {"list": [1], "word": "x"}
    assert {of.version for of in found.channels.values()} == {None}


@pytest.mark.parametrize("frequency", [5, 1000])
async def test_a_channel_that_is_rebuilt_has_what_it_is_rebuilt_from(lasting_url: str, frequency: int) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await turns(talk(frequency).compile(checkpointer=saver), config("t"), 2)
        found = await state(saver)
        history = await saver.aget_delta_channel_history(config=config("t"), channels=["said"])
    content = found.channels["said"].content
    assert content.type == REBUILT
    assert content.fields["and_writes"] == [write[2] for write in history["said"]["writes"]]
    seed = history["said"].get("seed")
    assert content.fields["from"] == (
        None if seed is None else Typed("langgraph.checkpoint.serde.types._DeltaSnapshot", seed.value, "value")
    )


async def test_a_rebuilt_channel_whose_blob_is_lost_says_so(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        where = await put(saver, config("t"), {"said": [b"x" * 70_000]})
        made = checkpoint({}, {"said": "2"})
        await saver.aput(where, made, metadata(1, counters_since_delta_snapshot={"said": [1, 1]}), {})
    shutil.rmtree(f"{sqlite_url}.blobs")
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        found = await state(saver)
    assert isinstance(found.channels["said"].content, NotShown)


async def test_a_body_that_can_not_be_read_leaves_the_names(saver: SQLAlchemySaver) -> None:
    await put(saver, config("t"), {"word": "x", "list": [1]})
    change = "UPDATE ckpt_checkpoint SET type = 'msgpack+aes', checksum = NULL"
    saver.store.runner.write(lambda db: db.execute(change)).result()
    found = await state(saver)
    assert found.ts is None
    assert isinstance(found.channels["word"].content, NotShown)
    assert found.channels["list"].content == [1]


async def test_an_old_format_has_the_tasks_of_its_parent(saver: SQLAlchemySaver) -> None:
    parent = await put(saver, config("t"), {"n": 1})
    await saver.aput_writes(parent, [("__pregel_tasks", Send("node", {"x": 1}))], "task")
    made = checkpoint({"n": 2}, v=3)
    await saver.aput(parent, made, metadata(1), made["channel_versions"])
    found = await state(saver)
    assert found.channels["__pregel_tasks"].content == [Typed("langgraph.types.Send", ["node", {"x": 1}], "arguments")]
