"""Graphs whose channels are rebuilt from their writes: every state, wherever a snapshot last fell, whatever was pruned since."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.channels.delta import DeltaChannel
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Overwrite, StateSnapshot, StateUpdate, interrupt
from typing_extensions import TypedDict

from ckptstore import SQLAlchemySaver
from tests.support.build import config
from tests.support.delta_graphs import FREQUENCIES, Last, every_frequency, extend, merge, talk, talk_state
from tests.support.graphs import Open, Saver, alike, alike_reopened, checkpoint_id, everything, history, questions, seen


async def turns(graph: Any, where: RunnableConfig, count: int, **more: Any) -> None:
    """So many questions."""
    for turn in range(count):
        await graph.ainvoke({"said": [f"question {turn}"]}, where, **more)


async def middle_of(graph: Any, where: RunnableConfig) -> StateSnapshot:
    """A state half way, at which both speakers are due."""
    due = [snapshot for snapshot in await history(graph, where) if snapshot.next == ("left", "right")]
    return due[len(due) // 2]


def holds(snapshot: StateSnapshot) -> Any:
    """The part of a state that survives a copy or a prune."""
    told = seen(snapshot)
    return [told[part] for part in ("values", "next", "tasks", "interrupts")]


async def by_id(graph: Any, where: RunnableConfig) -> dict[str | None, Any]:
    """Every state of a thread, each read alone."""
    return {checkpoint_id(found.config): holds(await graph.aget_state(found.config)) for found in await history(graph, where)}


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
async def test_an_overwrite_forgets_what_was_said(saver: SQLAlchemySaver, frequency: int) -> None:
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
async def test_a_thread_goes_on_when_its_channel_changes_kind(lasting_url: str, before: int | None, after: int | None) -> None:
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
async def test_a_subgraph_of_every_durability_waits_and_goes_on(lasting_url: str, durability: str) -> None:
    def build(saver: Saver) -> Any:
        inner = talk(3, right=lambda _state: {"said": [interrupt("right?")]}).compile()
        return StateGraph(talk_state(3)).add_node("inner", inner).add_edge(START, "inner").compile(checkpointer=saver)

    async def script(open_saver: Open) -> Any:
        states = []
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


# --- pruning -----------------------------------------------------------------------------------------------------------


async def pruned(saver: Saver) -> None:
    """Prune the thread on ours; LangGraph's saver can't, and shows what there would be without it."""
    if isinstance(saver, SQLAlchemySaver):
        await saver.aprune(["t"], strategy="keep_latest")


@pytest.mark.parametrize("durability", ["async", "exit"])
@pytest.mark.parametrize("frequency", [None, *FREQUENCIES])
async def test_a_pruned_thread_reads_the_same_and_goes_on(lasting_url: str, frequency: int | None, durability: str) -> None:
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
async def test_a_pruned_fork_reads_the_same_and_goes_on(saver: SQLAlchemySaver, frequency: int) -> None:
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
async def test_a_thread_whose_channel_changed_kind_is_pruned_and_goes_on(saver: SQLAlchemySaver, before: Any, after: Any) -> None:
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
async def test_survivors_of_an_age_read_the_same(url: str, frequency: int) -> None:
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
async def test_survivors_of_a_deleted_run_read_the_same(saver: SQLAlchemySaver, frequency: int) -> None:
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


# --- copies ------------------------------------------------------------------------------------------------------------


@every_frequency
async def test_every_state_of_a_copy_is_equal_and_both_threads_go_on(lasting_url: str, frequency: int) -> None:
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
async def test_a_copy_of_a_pruned_thread_reads_the_same_and_goes_on(saver: SQLAlchemySaver, frequency: int) -> None:
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
