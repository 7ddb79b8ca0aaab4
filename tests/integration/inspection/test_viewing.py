"""Checkpoints to look at, as far as they can be read."""

from __future__ import annotations

import shutil

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidConfig
from ckptstore.inspection.outline import find_checkpoint
from ckptstore.inspection.viewing import ViewedCheckpoint, view_checkpoint
from ckptstore.records import CheckpointKey
from ckptstore.runtime.steps import drive_async
from tests.support.build import config, put

FILE = bytes(70_000)


async def view(saver: SQLAlchemySaver, max_blob_bytes: int = 2**30) -> ViewedCheckpoint:
    key = await drive_async(find_checkpoint(saver.store, "t", None, None))
    return await drive_async(view_checkpoint(saver.store, key, max_blob_bytes))


async def test_values_and_writes_are_read(saver: SQLAlchemySaver) -> None:
    where = await put(saver, config("t"), {"list": [1, 2], "file": FILE, "scalar": 1})
    await saver.aput_writes(where, [("list", FILE), ("list", [3])], "task", "path")
    viewed = await view(saver)
    assert {name: (of.type, of.size, of.reason) for name, of in viewed.values.items()} == {
        "list": ("msgpack", 3, ""),
        "file": ("bytes", 70_000, ""),
    }
    found = [(of.task_id, of.task_path, of.idx, of.value.size) for of in viewed.writes]
    assert found == [("task", "path", 0, 70_000), ("task", "path", 1, 2)]


async def test_a_value_that_is_large_or_lost_does_not_hide_the_others(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        where = await put(saver, config("t"), {"list": [1, 2], "file": FILE})
        await saver.aput_writes(where, [("file", FILE + b"x")], "task")
        viewed = await view(saver, max_blob_bytes=69_999)
        large = viewed.values["file"]
        assert (large.value, large.size, large.blob_bytes) == (None, 70_000, 70_000)
        assert "70000 bytes of it are in blob storage, more than the 69999 that are read" in large.reason
    shutil.rmtree(f"{sqlite_url}.blobs")
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        viewed = await view(saver)
        assert viewed.values["file"].value is None
        assert "was it deleted" in viewed.values["file"].reason
        assert viewed.writes[0].value.value is None
        assert viewed.values["list"].value is not None


async def test_a_checkpoint_that_was_pruned_meanwhile_is_none(saver: SQLAlchemySaver) -> None:
    with pytest.raises(InvalidConfig, match="has no checkpoint 'gone'"):
        await drive_async(view_checkpoint(saver.store, CheckpointKey("t", "", "gone")))
