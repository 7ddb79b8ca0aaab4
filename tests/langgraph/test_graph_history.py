"""Time travel, forks, and updates by hand."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.graph import END
from langgraph.types import Command, StateUpdate

from ckptstore import SQLAlchemySaver
from tests.support.build import config
from tests.support.graphs import (
    Open,
    Saver,
    alike,
    alike_reopened,
    asker,
    asking,
    everything,
    history,
    namespace,
    nested,
    questions,
    seen,
    steps,
)


async def test_a_thread_is_replayed_from_each_of_its_checkpoints(saver: SQLAlchemySaver) -> None:
    async def script(saver: Saver) -> Any:
        graph = steps("a", "b", "c").compile(checkpointer=saver)
        await graph.ainvoke({"log": ["start"]}, config("t"))
        for snapshot in await history(graph, config("t")):
            await graph.ainvoke(None, snapshot.config)
        return await everything(graph, config("t"))

    states = await alike(saver, script)
    assert all(state["values"] == {"log": ["start", "a1", "b2", "c3"]} for state in states if not state["next"])


async def test_an_older_checkpoint_takes_new_input(saver: SQLAlchemySaver) -> None:
    async def script(saver: Saver) -> Any:
        graph = steps("a", "b").compile(checkpointer=saver)
        for turn in range(3):
            await graph.ainvoke({"log": [f"turn {turn}"]}, config("t"))
        ends = [snapshot for snapshot in await history(graph, config("t")) if not snapshot.next]
        await graph.ainvoke({"log": ["another turn 1"]}, ends[-1].config)
        return await everything(graph, config("t")), [seen(await graph.aget_state(end.config)) for end in ends]

    states, ends = await alike(saver, script)
    assert states[0]["values"]["log"] == ["turn 0", "a1", "b2", "another turn 1", "a4", "b5"]
    assert ends[0]["values"]["log"][-3:] == ["turn 2", "a7", "b8"]


async def test_forks_of_one_checkpoint_go_their_own_ways(lasting_url: str) -> None:
    async def script(open_saver: Open) -> Any:
        async with open_saver() as saver:
            graph = steps("a", "b", "c").compile(checkpointer=saver)
            await graph.ainvoke({"log": ["start"]}, config("t"))
            [middle] = [snapshot for snapshot in await history(graph, config("t")) if snapshot.next == ("b",)]
            tips = [(await graph.aget_state(config("t"))).config]
            for fork in range(3):
                tip = await graph.aupdate_state(middle.config, {"log": [f"fork {fork}"]})
                await graph.ainvoke(None, tip)
                tips.append((await graph.aget_state(config("t"))).config)
        async with open_saver() as saver:
            graph = steps("a", "b", "c").compile(checkpointer=saver)
            return [(await graph.aget_state(tip)).values["log"] for tip in tips], await everything(graph, config("t"))

    logs, _ = await alike_reopened(lasting_url, script)
    assert logs == [["start", "a1", "b2", "c3"], *(["start", "a1", f"fork {fork}", "b3", "c4"] for fork in range(3))]


async def test_going_back_before_an_answer_asks_again(saver: SQLAlchemySaver) -> None:
    async def script(saver: Saver) -> Any:
        graph = asking("a", "b").compile(checkpointer=saver)
        await graph.ainvoke({"log": []}, config("t"))
        asked = await graph.aget_state(config("t"))
        for answer in ("yes", "no"):
            await graph.ainvoke(None, asked.config)
            ids = await questions(graph, config("t"))
            await graph.ainvoke(Command(resume=dict.fromkeys(ids.values(), answer)), config("t"))
        return await everything(graph, config("t"))

    states = await alike(saver, script)
    assert states[0]["values"]["log"] == ["a: no", "b: no", "2 answers"]
    assert ["a: yes", "b: yes", "2 answers"] in [state["values"]["log"] for state in states]


async def test_going_back_into_a_subgraph_runs_it_again_from_there(saver: SQLAlchemySaver) -> None:
    async def script(saver: Saver) -> Any:
        graph = nested(1, asker()).compile(checkpointer=saver)
        await graph.ainvoke({"log": []}, config("t"))
        inner = (await graph.aget_state(config("t"), subgraphs=True)).tasks[0].state.config
        await graph.ainvoke(Command(resume="first"), config("t"))
        older = [snapshot for snapshot in await history(graph, namespace(inner)) if snapshot.next == ("think",)]
        await graph.ainvoke(None, older[0].config)
        await graph.ainvoke(Command(resume="second"), config("t"))
        return await everything(graph, config("t"))

    states = await alike(saver, script)
    assert any("second" in entry for entry in states[0]["values"]["log"])


async def test_a_history_is_filtered_and_cut(saver: SQLAlchemySaver) -> None:
    async def script(saver: Saver) -> Any:
        graph = steps("a", "b", "c").compile(checkpointer=saver)
        for turn in range(3):
            await graph.ainvoke({"log": [f"turn {turn}"]}, config("t"))
        third = (await history(graph, config("t")))[3].config
        ways: list[dict[str, Any]] = [{"filter": {"source": "input"}}, {"filter": {"step": 4}}, {"limit": 2}, {"before": third, "limit": 4}]
        return [[seen(snapshot) async for snapshot in graph.aget_state_history(config("t"), **way)] for way in ways]

    found = await alike(saver, script)
    assert [len(states) for states in found] == [3, 1, 2, 4]


async def test_an_update_stands_in_for_a_node(saver: SQLAlchemySaver) -> None:
    async def script(saver: Saver) -> Any:
        graph = steps("a", "b", "c").compile(checkpointer=saver)
        await graph.aupdate_state(config("t"), {"log": ["by hand"]}, as_node="a")
        fresh = await everything(graph, config("t"))
        await graph.ainvoke(None, config("t"))
        await graph.aupdate_state(config("t"), {"log": ["again"]}, as_node="b")
        await graph.ainvoke(None, config("t"))
        return fresh, await everything(graph, config("t"))

    _, states = await alike(saver, script)
    assert states[0]["values"]["log"] == ["by hand", "b1", "c2", "again", "c4"]


@pytest.mark.parametrize("as_node", [END, "__copy__", "__input__"])
async def test_an_update_as_a_node_that_is_none(saver: SQLAlchemySaver, as_node: str) -> None:
    async def script(saver: Saver) -> Any:
        graph = steps("a", "b", "c").compile(checkpointer=saver, interrupt_before=["b"])
        await graph.ainvoke({"log": ["start"]}, config("t"))
        values = {"log": ["new"]} if as_node == "__input__" else None
        await graph.aupdate_state(config("t"), values, as_node=as_node)
        return await everything(graph, config("t"))

    states = await alike(saver, script)
    assert states[0]["metadata"]["source"] in ("update", "fork", "input")


async def test_updates_in_bulk_make_a_thread(saver: SQLAlchemySaver) -> None:
    async def script(saver: Saver) -> Any:
        graph = steps("a", "b", "c").compile(checkpointer=saver)
        turns = [[StateUpdate({"log": [f"{name} {turn}"]}, name)] for turn in range(4) for name in ("__input__", "a", "b", "c")]
        await graph.abulk_update_state(config("t"), turns)
        await graph.abulk_update_state(config("t"), [[StateUpdate({"log": ["x"]}, "a"), StateUpdate({"log": ["y"]}, "b")]])
        await graph.ainvoke(None, config("t"))
        return await everything(graph, config("t"))

    states = await alike(saver, script)
    assert states[0]["values"]["log"][-7:] == ["b 3", "c 3", "x", "y", "b14", "c14", "c16"]
