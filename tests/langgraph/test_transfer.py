"""Graphs go on at another store."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from langgraph.types import Command

from ckptstore import SQLAlchemySaver
from ckptstore.errors import CheckpointCorrupt
from ckptstore.langgraph.transfer import compare_checkpoints
from ckptstore.records import CheckpointKey
from ckptstore.runtime.steps import drive
from tests.support.build import config, metadata, put
from tests.support.graphs import asking


async def test_an_interrupted_graph_is_resumed_there(lasting_url: str) -> None:
    where: Any = config("t")
    async with SQLAlchemySaver.from_conn_string(":memory:") as one:
        await asking("a", "b").compile(checkpointer=one).ainvoke({"log": ["begin"]}, where)
        async with SQLAlchemySaver.from_conn_string(lasting_url) as other:
            report = await one.acopy_to(other, verify="objects")
            assert report.ok
            graph = asking("a", "b").compile(checkpointer=other)
            waiting = (await graph.aget_state(where)).interrupts
            done = await graph.ainvoke(Command(resume={each.id: "yes" for each in waiting}), where)
            assert len(done["log"]) > 1


async def test_arrays_are_compared_too() -> None:
    async with SQLAlchemySaver.from_conn_string(":memory:") as one, SQLAlchemySaver.from_conn_string(":memory:") as other:
        where = await put(one, config("t"), {"array": numpy.arange(5)})
        assert (await one.acopy_to(other, verify="objects")).compared_checkpoints == 1
        key = CheckpointKey("t", "", str(where["configurable"]["checkpoint_id"]))
        found: Any = await other.aget_tuple(where)
        await other.aput(config("t"), found.checkpoint, metadata(5), {})
        sides = (one.store, one.serde), (other.store, other.serde)
        with pytest.raises(CheckpointCorrupt, match="loaded differently"):
            drive(compare_checkpoints(*sides, [key]))
        await other.adelete_thread("t")
        assert drive(compare_checkpoints(*sides, [key])) == 0
