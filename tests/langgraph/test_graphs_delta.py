"""Graphs whose channels are rebuilt from their writes: every state, wherever a snapshot last fell, whatever was pruned since."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Overwrite, StateUpdate, interrupt

from ckptstore import SQLAlchemySaver
from tests.support.build import config
from tests.support.delta_graphs import FREQUENCIES, every_frequency, middle_of, talk, talk_state, turns
from tests.support.graphs import Open, Saver, alike, alike_reopened, everything, history, seen

# --- reading back ------------------------------------------------------------------------------------------------------


@every_frequency
async def test_every_state_of_a_long_chat_reads_as_it_was(lasting_url: str, frequency: int) -> None:
    async def script(open_saver: Open) -> Any:
        async with open_saver() as saver:
            await turns(talk(frequency).compile(checkpointer=saver), config("t"), 7)
        async with open_saver() as saver:
            graph = talk(frequency).compile(checkpointer=saver)
            found = [
                await saver.aget_delta_channel_history(config=snapshot.config, channels=["said", "facts", "never"])
                for snapshot in await history(graph, config("t"))
            ]
            pasts = [{name: ([write[1:] for write in past["writes"]], past.get("seed")) for name, past in each.items()} for each in found]
            return await everything(graph, config("t")), pasts

    states, _ = await alike_reopened(lasting_url, script)
    assert len(states) == 7 * 4
    assert len(states[0]["values"]["said"]) == 7 * 3
    assert states[0]["values"]["facts"] == {"heard": 7 * 3}


@every_frequency
async def test_a_chat_forked_in_the_middle_reads_right_on_both_branches(lasting_url: str, frequency: int) -> None:
    async def script(open_saver: Open) -> Any:
        async with open_saver() as saver:
            graph = talk(frequency).compile(checkpointer=saver)
            await turns(graph, config("t"), 4)
            trunk = (await graph.aget_state(config("t"))).config
            middle = await middle_of(graph, config("t"))
            await graph.ainvoke(None, middle.config)
            await graph.ainvoke(None, await graph.aupdate_state(middle.config, {"said": ["by hand"]}))
            await graph.ainvoke({"said": ["instead"]}, middle.config)
        async with open_saver() as saver:
            graph = talk(frequency).compile(checkpointer=saver)
            return (await graph.aget_state(trunk)).values, await everything(graph, config("t"))

    trunk, states = await alike_reopened(lasting_url, script)
    assert [entry for entry in trunk["said"] if entry.startswith("question")] == [f"question {turn}" for turn in range(4)]
    assert "instead" in states[0]["values"]["said"]
    assert "by hand" not in states[0]["values"]["said"]


@every_frequency
async def test_an_overwrite_forgets_earlier_messages(saver: SQLAlchemySaver, frequency: int) -> None:
    async def script(saver: Saver) -> Any:
        graph = talk(frequency).compile(checkpointer=saver)
        await turns(graph, config("t"), 2)
        await graph.aupdate_state(config("t"), {"said": Overwrite(["anew"])}, as_node="count")
        await turns(graph, config("t"), 2)
        return await everything(graph, config("t"))

    states = await alike(saver, script)
    assert states[0]["values"]["said"][:2] == ["anew", "question 0"]


@every_frequency
async def test_updates_in_bulk_are_read_back(saver: SQLAlchemySaver, frequency: int) -> None:
    async def script(saver: Saver) -> Any:
        graph = talk(frequency).compile(checkpointer=saver)
        await graph.abulk_update_state(config("t"), [[StateUpdate({"said": [f"{n}"]}, "left")] for n in range(5)])
        await turns(graph, config("t"), 1)
        return await everything(graph, config("t"))

    states = await alike(saver, script)
    assert states[0]["values"]["said"][:6] == [*"01234", "question 0"]


async def test_a_chat_without_a_snapshot_for_hundreds_of_steps(saver: SQLAlchemySaver) -> None:
    def go_on(state: Any) -> str:
        return "count" if len(state["said"]) < 270 else END

    builder = StateGraph(talk_state(1000)).add_node("count", lambda state: {"said": [str(len(state["said"]))]}).add_edge(START, "count")
    graph = builder.add_conditional_edges("count", go_on, ["count", END]).compile(checkpointer=saver)
    await graph.ainvoke({"said": []}, {**config("t"), "recursion_limit": 300})
    assert (await graph.aget_state(config("t"))).values["said"] == [str(n) for n in range(270)]


@pytest.mark.parametrize(("before", "after"), [(None, 3), (None, 1000), (3, None), (1000, None), (1000, 1)])
async def test_a_thread_continues_when_its_channel_changes_kind(lasting_url: str, before: int | None, after: int | None) -> None:
    async def script(open_saver: Open) -> Any:
        for frequency in (before, after):
            async with open_saver() as saver:
                graph = talk(frequency).compile(checkpointer=saver)
                await turns(graph, config("t"), 2)
                states = await everything(graph, config("t"))
        return states

    states = await alike_reopened(lasting_url, script)
    assert len(states[0]["values"]["said"]) == 4 * 3


# --- durability --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("frequency", [None, *FREQUENCIES])
async def test_every_durability_keeps_what_langgraph_asks_for(lasting_url: str, durability: str, frequency: int | None) -> None:
    async def script(open_saver: Open) -> Any:
        async with open_saver() as saver:
            graph = talk(frequency).compile(checkpointer=saver)
            await turns(graph, config("t"), 2, durability=durability)
            await graph.ainvoke({"said": ["stop"]}, config("t"), durability=durability, interrupt_before=["count"])
        async with open_saver() as saver:
            graph = talk(frequency).compile(checkpointer=saver)
            waiting = await everything(graph, config("t"))
            await graph.ainvoke(None, config("t"), durability=durability)
            states = await history(graph, config("t"))
            await graph.ainvoke({"said": ["back"]}, states[len(states) // 2].config, durability=durability)
            return waiting, await everything(graph, config("t"))

    waiting, done = await alike_reopened(lasting_url, script)
    assert waiting[0]["next"] == ("count",)
    assert "back" in done[0]["values"]["said"]


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_a_subgraph_of_every_durability_waits_and_continues(lasting_url: str, durability: str) -> None:
    def build(saver: Saver) -> Any:
        inner = talk(3, right=lambda _state: {"said": [interrupt("right?")]}).compile()
        return StateGraph(talk_state(3)).add_node("inner", inner).add_edge(START, "inner").compile(checkpointer=saver)

    async def script(open_saver: Open) -> Any:
        states = []
        given: Any
        for given in ({"said": ["question"]}, Command(resume="answer"), {"said": ["next"]}, Command(resume="other")):
            async with open_saver() as saver:
                await build(saver).ainvoke(given, config("t"), durability=durability)
            async with open_saver() as saver:
                graph = build(saver)
                states.append((seen(await graph.aget_state(config("t"), subgraphs=True)), await everything(graph, config("t"))))
        return states

    states = await alike_reopened(lasting_url, script)
    assert "answer" in states[1][0]["values"]["said"]
    assert "other" in states[3][0]["values"]["said"]
