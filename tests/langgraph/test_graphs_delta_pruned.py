"""Pruned and copied threads whose channels are rebuilt from writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import pytest
from langgraph.channels.delta import DeltaChannel
from langgraph.graph import START, StateGraph
from langgraph.types import Command, StateUpdate, interrupt
from typing_extensions import TypedDict

from ckptstore import SQLAlchemySaver
from tests.support.build import config
from tests.support.delta_graphs import FREQUENCIES, Last, by_id, every_frequency, extend, holds, merge, middle_of, talk, talk_state, turns
from tests.support.graphs import Open, Saver, alike, alike_reopened, questions, seen


async def pruned(saver: Saver) -> None:
    """Prune the thread on ours; LangGraph's saver can't, and shows what there would be without it."""
    if isinstance(saver, SQLAlchemySaver):
        await saver.aprune(["t"], strategy="keep_latest")


@pytest.mark.parametrize("durability", ["async", "exit"])
@pytest.mark.parametrize("frequency", [None, *FREQUENCIES])
async def test_a_pruned_thread_reads_the_same_and_continues(lasting_url: str, frequency: int | None, durability: str) -> None:
    async def script(open_saver: Open) -> Any:
        states = []
        for _ in range(3):
            async with open_saver() as saver:
                graph = talk(frequency).compile(checkpointer=saver)
                await turns(graph, config("t"), 2, durability=durability)
                states.append(holds(await graph.aget_state(config("t"))))
                await pruned(saver)
                states.append(holds(await graph.aget_state(config("t"))))
        return states

    states = await alike_reopened(lasting_url, script)
    assert states[0::2] == states[1::2]
    assert len(states[-1][0]["said"]) == 6 * 3


@every_frequency
async def test_a_prune_leaves_only_what_the_newest_state_is_read_from(saver: SQLAlchemySaver, frequency: int) -> None:
    graph = talk(frequency).compile(checkpointer=saver)
    await turns(graph, config("t"), 6)
    before = await by_id(graph, config("t"))
    await saver.aprune(["t"], strategy="keep_latest")
    after = await by_id(graph, config("t"))
    newest = max(before, key=str)
    assert after == {newest: before[newest]}


class Two(TypedDict):
    said: Annotated[list[str], DeltaChannel(extend, snapshot_frequency=4)]
    facts: Annotated[dict[str, int], DeltaChannel(merge, snapshot_frequency=4)]


async def test_a_prune_frees_a_thread_whose_snapshots_never_fall_together(saver: SQLAlchemySaver) -> None:
    builder = StateGraph(Two).add_node("speak", lambda _state: {}).add_node("learn", lambda _state: {})
    graph = builder.add_edge(START, "speak").add_edge("speak", "learn").add_edge("learn", "speak").compile(checkpointer=saver)
    speak, learn = [StateUpdate({"said": ["x"]}, "speak")], [StateUpdate({"facts": {"heard": 1}}, "learn")]
    await graph.abulk_update_state(config("t"), [*[speak] * 4, *[learn, speak] * 10])
    before = await by_id(graph, config("t"))
    await saver.aprune(["t"], strategy="keep_latest")
    after = await by_id(graph, config("t"))
    assert after == {found: before[found] for found in after}
    assert len(after) < len(before)


async def test_a_channel_that_was_never_written_holds_up_no_prune(saver: SQLAlchemySaver) -> None:
    builder = StateGraph(talk_state(1)).add_node("speak", lambda _state: {"said": ["x"]}).add_edge(START, "speak")
    graph = builder.compile(checkpointer=saver)
    await turns(graph, config("t"), 3)
    before = await by_id(graph, config("t"))
    await saver.aprune(["t"], strategy="keep_latest")
    after = await by_id(graph, config("t"))
    assert after == {max(before, key=str): before[max(before, key=str)]}


async def test_a_prune_keeps_a_channel_that_the_newest_graph_does_not_know(saver: SQLAlchemySaver) -> None:
    async def script(saver: Saver) -> Any:
        graph = talk(1000).compile(checkpointer=saver)
        await turns(graph, config("t"), 2)
        rolled_back = StateGraph(Last).add_node("speak", lambda _state: {"last": "x"}).add_edge(START, "speak").compile(checkpointer=saver)
        await rolled_back.ainvoke({"last": "y"}, config("t"))
        await pruned(saver)
        return (await graph.aget_state(config("t"))).values

    values = await alike(saver, script)
    assert len(values["said"]) == 2 * 3


@every_frequency
async def test_a_pruned_fork_reads_the_same_and_continues(saver: SQLAlchemySaver, frequency: int) -> None:
    async def script(saver: Saver) -> Any:
        graph = talk(frequency).compile(checkpointer=saver)
        await turns(graph, config("t"), 4)
        middle = await middle_of(graph, config("t"))
        await graph.ainvoke(None, await graph.aupdate_state(middle.config, {"said": ["by hand"]}))
        await pruned(saver)
        states = [holds(await graph.aget_state(config("t")))]
        await turns(graph, config("t"), 2)
        return [*states, holds(await graph.aget_state(config("t")))]

    states = await alike(saver, script)
    assert "by hand" in states[-1][0]["said"]


@every_frequency
async def test_a_thread_pruned_while_it_asks_still_takes_the_answer(lasting_url: str, frequency: int) -> None:
    def build(saver: Saver) -> Any:
        def ask(name: str) -> Callable[[Any], Any]:
            return lambda _state: {"said": [interrupt(f"{name}?")]}

        inner = talk(frequency, left=ask("left"), right=ask("right")).compile()
        builder = StateGraph(talk_state(frequency)).add_node("inner", inner).add_node("beside", lambda _state: {"said": ["beside"]})
        return builder.add_edge(START, "inner").add_edge(START, "beside").compile(checkpointer=saver)

    async def script(open_saver: Open) -> Any:
        states = []
        for turn in range(2):
            async with open_saver() as saver:
                await build(saver).ainvoke({"said": [f"question {turn}"]}, config("t"))
                await pruned(saver)
            for name in ("right", "left"):
                async with open_saver() as saver:
                    graph = build(saver)
                    ids = await questions(graph, config("t"))
                    await graph.ainvoke(Command(resume={ids[f"{name}?"]: f"{name} {turn}"}), config("t"))
                    await pruned(saver)
                    states.append(seen(await graph.aget_state(config("t"), subgraphs=True))["values"])
        return states

    states = await alike_reopened(lasting_url, script)
    assert {"left 0", "right 0", "left 1", "right 1", "beside"} <= set(states[-1]["said"])


async def test_a_subgraphs_memory_outlives_a_prune(saver: SQLAlchemySaver) -> None:
    async def script(saver: Saver) -> Any:
        inner = talk(1000).compile(checkpointer=True)
        graph = StateGraph(Last).add_node("inner", inner).add_edge(START, "inner").compile(checkpointer=saver)
        states = []
        for turn in range(4):
            await graph.ainvoke({"last": f"question {turn}"}, config("t"))
            await pruned(saver)
            states.append([holds(await graph.aget_state(config("t", checkpoint_ns=place))) for place in ("", "inner")])
        return states

    states = await alike(saver, script)
    outer, inner = states[-1]
    assert inner[0]["said"] == [f"{name} after {2 * turn}" for turn in range(4) for name in ("left", "right")]
    assert outer[0] == {"last": "right after 6"}


@pytest.mark.parametrize(("before", "after"), [(None, 1000), (1000, None)])
async def test_a_thread_whose_channel_changed_kind_is_pruned_and_continues(saver: SQLAlchemySaver, before: Any, after: Any) -> None:
    async def script(saver: Saver) -> Any:
        await turns(talk(before).compile(checkpointer=saver), config("t"), 2)
        graph = talk(after).compile(checkpointer=saver)
        states = []
        for _ in range(2):
            await pruned(saver)
            states.append(holds(await graph.aget_state(config("t"))))
            await turns(graph, config("t"), 1)
        return [*states, holds(await graph.aget_state(config("t")))]

    states = await alike(saver, script)
    assert len(states[-1][0]["said"]) == 4 * 3


@every_frequency
async def test_what_an_age_keeps_reads_the_same(url: str, frequency: int) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    async with SQLAlchemySaver.from_conn_string(url, clock=lambda: now) as saver:
        graph = talk(frequency).compile(checkpointer=saver)
        for _ in range(6):
            await turns(graph, config("t"), 1)
            now += timedelta(days=1)
        before = await by_id(graph, config("t"))
        removed = await saver.aprune_older_than(timedelta(days=2))
        after = await by_id(graph, config("t"))
        assert len(after) == len(before) - removed.checkpoints
        assert after == {found: before[found] for found in after}
        assert len(after) >= 8
        assert removed.checkpoints > 0


async def test_a_subgraphs_states_go_with_their_roots(url: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def take_long(_state: Any) -> Any:
        nonlocal now
        now += timedelta(days=1)

    inner = StateGraph(Last).add_node("take_long", take_long).add_node("ask", lambda _state: {"last": interrupt("deep?")})
    inner.add_edge(START, "take_long").add_edge("take_long", "ask")
    async with SQLAlchemySaver.from_conn_string(url, clock=lambda: now) as saver:
        outer = StateGraph(Last).add_node("inner", inner.compile()).add_edge(START, "inner")
        # Not in the background: the root's checkpoint is there before its subgraph takes its time.
        await outer.compile(checkpointer=saver).ainvoke({"last": "x"}, config("t"), durability="sync")
        await saver.aprune_older_than(timedelta(hours=12))
        left = {found.config["configurable"]["checkpoint_ns"] for found in await saver.alist({"configurable": {"thread_id": "t"}})}
        assert left == set() or "" in left


@every_frequency
async def test_what_a_deleted_run_leaves_reads_the_same(saver: SQLAlchemySaver, frequency: int) -> None:
    graph = talk(frequency).compile(checkpointer=saver)
    for turn in range(6):
        await turns(graph, config("t", run_id=f"run {turn}"), 1)
    before = await by_id(graph, config("t"))
    await saver.adelete_for_runs(["run 2"])
    after = await by_id(graph, config("t"))
    assert after == {found: before[found] for found in after}
    assert len(after) < len(before)
    await turns(graph, config("t"), 1)
    assert len((await graph.aget_state(config("t"))).values["said"]) == 7 * 3


@every_frequency
async def test_every_state_of_a_copy_is_equal_and_both_threads_continue(lasting_url: str, frequency: int) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        graph = talk(frequency).compile(checkpointer=saver)
        await turns(graph, config("t"), 3)
        await graph.ainvoke(None, (await middle_of(graph, config("t"))).config)
        before = await by_id(graph, config("t"))
        await saver.acopy_thread("t", "copy")
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        graph = talk(frequency).compile(checkpointer=saver)
        assert await by_id(graph, config("copy")) == before
        await turns(graph, config("copy"), 1)
        assert await by_id(graph, config("t")) == before
        await saver.adelete_thread("t")
        copied = await by_id(graph, config("copy"))
        assert {found: copied[found] for found in before} == before
        assert len(copied) == len(before) + 4


@every_frequency
async def test_a_copy_of_a_pruned_thread_reads_the_same_and_continues(saver: SQLAlchemySaver, frequency: int) -> None:
    graph = talk(frequency).compile(checkpointer=saver)
    await turns(graph, config("t"), 3)
    await saver.aprune(["t"], strategy="keep_latest")
    pruned_thread = await by_id(graph, config("t"))
    await saver.acopy_thread("t", "copy")
    await saver.adelete_thread("t")
    assert await by_id(graph, config("copy")) == pruned_thread
    await turns(graph, config("copy"), 1)
    assert len((await graph.aget_state(config("copy"))).values["said"]) == 4 * 3


async def test_a_copy_of_a_thread_that_asks_takes_its_own_answer(saver: SQLAlchemySaver) -> None:
    inner = talk(3, right=lambda _state: {"said": [interrupt("right?")]}).compile()
    graph = StateGraph(talk_state(3)).add_node("inner", inner).add_edge(START, "inner").compile(checkpointer=saver)
    await graph.ainvoke({"said": ["question"]}, config("t"))
    await saver.acopy_thread("t", "copy")
    for thread, answer in (("copy", "copied"), ("t", "original")):
        waiting = await graph.aget_state(config(thread), subgraphs=True)
        assert waiting.tasks[0].state.config["configurable"]["thread_id"] == thread
        assert [asked.value for asked in waiting.tasks[0].state.interrupts] == ["right?"]
        done = await graph.ainvoke(Command(resume=answer), config(thread))
        assert {"copied", "original"} & set(done["said"]) == {answer}
