"""Checkpoints of two savers are compared as they are loaded."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import CheckpointCorrupt
from ckptstore.langgraph.comparing import compare_checkpoints, loading
from ckptstore.records import CheckpointKey
from ckptstore.runtime.steps import drive
from tests.support.build import config, metadata, put


async def test_arrays_are_compared_too() -> None:
    async with SQLAlchemySaver.from_conn_string(":memory:") as one, SQLAlchemySaver.from_conn_string(":memory:") as other:
        where = await put(one, config("t"), {"array": numpy.arange(5)})
        assert (await one.acopy_to(other, verify="objects")).compared_checkpoints == 1
        key = CheckpointKey("t", "", str(where["configurable"]["checkpoint_id"]))
        found: Any = await other.aget_tuple(where)
        await other.aput(config("t"), found.checkpoint, metadata(5), {})
        sides = loading(one.store, one.serde), loading(other.store, other.serde), other.serde
        with pytest.raises(CheckpointCorrupt, match="loaded differently"):
            drive(compare_checkpoints(*sides, [key]))
        await other.adelete_thread("t")
        assert drive(compare_checkpoints(*sides, [key])) == 0


async def test_what_the_source_was_given_since_is_no_difference() -> None:
    async with SQLAlchemySaver.from_conn_string(":memory:") as one, SQLAlchemySaver.from_conn_string(":memory:") as other:
        where = await put(one, config("t"), {"n": 1})
        await one.aput_writes(where, [("n", 1), ("n", 2)], "task")
        await one.acopy_to(other)
        keys = [CheckpointKey("t", "", str(where["configurable"]["checkpoint_id"]))]
        sides = loading(one.store, one.serde), loading(other.store, other.serde), other.serde
        assert drive(compare_checkpoints(*sides, keys)) == 1
        await one.aput_writes(where, [("n", 3)], "a task before")
        assert drive(compare_checkpoints(*sides, keys)) == 0
        await other.aput_writes(where, [("n", 4)], "task of the target")
        with pytest.raises(CheckpointCorrupt, match="loaded differently"):
            drive(compare_checkpoints(*sides, keys))
