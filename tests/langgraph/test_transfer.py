"""Graphs go on at another store."""

from __future__ import annotations

from typing import Any

from langgraph.types import Command

from ckptstore import SQLAlchemySaver
from tests.support.build import config
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
