"""Graphs whose nodes fail or are cancelled."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from langgraph.graph import START, StateGraph

from tests.support.build import config
from tests.support.graphs import (
    Log,
    Open,
    Saver,
    alike_reopened,
    everything,
    steps,
)


class Fragile:
    """Two nodes that succeed beside one that fails at first, and only when the others' results are in."""

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()
        self.siblings_are_in = asyncio.Event()

    def build(self, saver: Saver) -> Any:
        def succeed(name: str) -> Callable[[Log], Log]:
            def run(_state: Log) -> Log:
                self.runs[name] += 1
                return {"log": [f"{name} run {self.runs[name]}"]}

            return run

        async def fail(_state: Log) -> Log:
            self.runs["fail"] += 1
            await self.siblings_are_in.wait()
            if self.runs["fail"] == 1:
                raise ValueError("at first")
            return {"log": [f"fail run {self.runs['fail']}"]}

        builder = StateGraph(Log).add_node("a", succeed("a")).add_node("fail", fail).add_node("z", succeed("z"))
        builder.add_node("last", succeed("last")).add_edge(["a", "fail", "z"], "last")
        return builder.add_edge(START, "a").add_edge(START, "fail").add_edge(START, "z").compile(checkpointer=saver)

    async def run(self, graph: Any, durability: str) -> None:
        """Run the graph until its node fails."""
        updates: set[str] = set()
        # LangGraph gives out each update at once only where custom output may come too.
        modes = ["updates", "custom"]
        async for _mode, update in graph.astream({"log": ["start"]}, config("t"), stream_mode=modes, durability=durability):
            updates |= set(update)
            if updates == {"a", "z"}:
                self.siblings_are_in.set()


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_only_the_node_that_failed_runs_again(lasting_url: str, durability: str) -> None:
    async def script(open_saver: Open) -> Any:
        fragile = Fragile()
        async with open_saver() as saver:
            with pytest.raises(ValueError, match="at first"):
                await fragile.run(fragile.build(saver), durability)
        async with open_saver() as saver:
            graph = fragile.build(saver)
            failed = await everything(graph, config("t"))
            await graph.ainvoke(None, config("t"), durability=durability)
            return failed, dict(fragile.runs), await everything(graph, config("t"))

    failed, runs, done = await alike_reopened(lasting_url, script)
    assert [task["error"] for task in failed[0]["tasks"]] == ["None", "\"ValueError('at first')\"", "None"]
    assert [task["result"] for task in failed[0]["tasks"]] == [{"log": ["a run 1"]}, None, {"log": ["z run 1"]}]
    assert runs == {"a": 1, "fail": 2, "z": 1, "last": 1}
    assert done[0]["values"]["log"] == ["start", "a run 1", "fail run 2", "z run 1", "last run 1"]


async def test_a_run_that_was_cancelled_continues_where_it_stopped(lasting_url: str) -> None:
    async def script(open_saver: Open) -> Any:
        started, runs = asyncio.Event(), []

        async def hang(_state: Log) -> Log:
            runs.append("hang")
            if len(runs) == 1:
                started.set()
                await asyncio.Event().wait()
            return {"log": ["done"]}

        builder = steps("a", "b").add_node("hang", hang).add_edge("b", "hang")
        async with open_saver() as saver:
            graph = builder.compile(checkpointer=saver)
            run = asyncio.create_task(graph.ainvoke({"log": ["start"]}, config("t"), durability="sync"))
            await started.wait()
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run
        async with open_saver() as saver:
            graph = builder.compile(checkpointer=saver)
            stopped = await everything(graph, config("t"))
            await graph.ainvoke(None, config("t"))
            return len(runs), stopped, await everything(graph, config("t"))

    runs, stopped, done = await alike_reopened(lasting_url, script)
    assert runs == 2
    assert stopped[0]["next"] == ("hang",)
    assert done[0]["values"]["log"] == ["start", "a1", "b2", "done"]
