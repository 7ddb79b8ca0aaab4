"""Real graphs: each does with our saver just what it does with LangGraph's own, in memory."""

from __future__ import annotations

import asyncio
import operator
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph, add_messages
from langgraph.types import Command, Send, StateUpdate, interrupt
from pydantic import BaseModel
from typing_extensions import TypedDict

from ckptstore import SQLAlchemySaver
from tests.support.build import config
from tests.support.graphs import (
    Inner,
    Log,
    Numbers,
    Open,
    Saver,
    alike,
    alike_reopened,
    asker,
    asking,
    everything,
    history,
    map_reduce,
    namespace,
    nested,
    questions,
    seen,
    steps,
)

# --- the same graph on two savers --------------------------------------------------------------------------------------


# --- interrupts --------------------------------------------------------------------------------------------------------


async def test_several_interrupts_are_pending_at_once(saver: SQLAlchemySaver) -> None:
    async def script(saver: Saver) -> Any:
        graph = asking("a", "b", "c").compile(checkpointer=saver)
        await graph.ainvoke({"log": []}, config("t"))
        return await everything(graph, config("t"))

    states = await alike(saver, script)
    assert states[0]["interrupts"] == ["a?", "b?", "c?"]


async def test_interrupts_are_resumed_one_by_one_by_their_ids(saver: SQLAlchemySaver) -> None:
    async def script(saver: Saver) -> Any:
        graph = asking("a", "b", "c").compile(checkpointer=saver)
        await graph.ainvoke({"log": []}, config("t"))
        ids, states = await questions(graph, config("t")), []
        for name in ("b", "c", "a"):
            await graph.ainvoke(Command(resume={ids[f"{name}?"]: f"yes {name}"}), config("t"))
            states.append(seen(await graph.aget_state(config("t"))))
        return states, await everything(graph, config("t"))

    states, _ = await alike(saver, script)
    assert [state["interrupts"] for state in states] == [["a?", "c?"], ["a?"], []]
    assert states[-1]["values"] == {"log": ["a: yes a", "b: yes b", "c: yes c", "3 answers"]}


async def test_interrupts_are_resumed_all_at_once(saver: SQLAlchemySaver) -> None:
    async def script(saver: Saver) -> Any:
        graph = asking("a", "b", "c").compile(checkpointer=saver)
        await graph.ainvoke({"log": []}, config("t"))
        answers = {asked: question for question, asked in (await questions(graph, config("t"))).items()}
        await graph.ainvoke(Command(resume=answers), config("t"))
        return await everything(graph, config("t"))

    states = await alike(saver, script)
    assert states[0]["values"] == {"log": ["a: a?", "b: b?", "c: c?", "3 answers"]}


async def test_interrupts_outlive_their_saver(lasting_url: str) -> None:
    async def script(open_saver: Open) -> Any:
        async with open_saver() as saver:
            graph = asking("a", "b").compile(checkpointer=saver)
            await graph.ainvoke({"log": []}, config("t"))
        for name in ("b", "a"):
            async with open_saver() as saver:
                graph = asking("a", "b").compile(checkpointer=saver)
                ids = await questions(graph, config("t"))
                await graph.ainvoke(Command(resume={ids[f"{name}?"]: name}), config("t"))
        async with open_saver() as saver:
            return await everything(asking("a", "b").compile(checkpointer=saver), config("t"))

    states = await alike_reopened(lasting_url, script)
    assert states[0]["values"] == {"log": ["a: a", "b: b", "2 answers"]}


async def test_a_node_that_asks_twice_keeps_its_first_answer(lasting_url: str) -> None:
    def ask_twice(_state: Log) -> Log:
        return {"log": [interrupt("first?"), interrupt("second?")]}

    async def script(open_saver: Open) -> Any:
        states = []
        for given in ({"log": []}, Command(resume="one"), Command(resume="two")):
            async with open_saver() as saver:
                graph = StateGraph(Log).add_sequence([ask_twice]).add_edge(START, "ask_twice").compile(checkpointer=saver)
                await graph.ainvoke(given, config("t"))
                states.append(await everything(graph, config("t")))
        return states

    states = await alike_reopened(lasting_url, script)
    assert states[-1][0]["values"] == {"log": ["one", "two"]}


async def test_a_breakpoint_outlives_its_saver(lasting_url: str) -> None:
    async def script(open_saver: Open) -> Any:
        states = []
        for given in ({"log": []}, None, None):
            async with open_saver() as saver:
                graph = steps("a", "b", "c").compile(checkpointer=saver, interrupt_before=["b"], interrupt_after=["b"])
                await graph.ainvoke(given, config("t"))
                states.append(await everything(graph, config("t")))
        return states

    states = await alike_reopened(lasting_url, script)
    assert [state[0]["next"] for state in states] == [("b",), ("c",), ()]


async def test_a_resume_may_update_the_state_and_go_elsewhere(saver: SQLAlchemySaver) -> None:
    async def script(saver: Saver) -> Any:
        graph = asking("a", "b").compile(checkpointer=saver)
        await graph.ainvoke({"log": []}, config("t"))
        ids = await questions(graph, config("t"))
        await graph.ainvoke(Command(resume=dict.fromkeys(ids.values(), "ok"), update={"log": ["by hand"]}, goto="last"), config("t"))
        return await everything(graph, config("t"))

    states = await alike(saver, script)
    assert "by hand" in states[0]["values"]["log"]


# --- parallel branches -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 30])
async def test_branches_give_their_results_in_the_order_they_were_sent(saver: SQLAlchemySaver, count: int) -> None:
    async def script(saver: Saver) -> Any:
        graph = map_reduce().compile(checkpointer=saver)
        await graph.ainvoke({"count": count, "results": []}, config("t"))
        return await everything(graph, config("t"))

    states = await alike(saver, script)
    assert states[0]["values"]["results"] == [*range(count), ["sum", sum(range(count))]]


async def test_branches_that_were_sent_wait_in_a_closed_database(lasting_url: str) -> None:
    async def script(open_saver: Open) -> Any:
        async with open_saver() as saver:
            graph = map_reduce().compile(checkpointer=saver, interrupt_before=["work"])
            await graph.ainvoke({"count": 30, "results": []}, config("t"))
        async with open_saver() as saver:
            graph = map_reduce().compile(checkpointer=saver)
            waiting = await everything(graph, config("t"))
            await graph.ainvoke(None, config("t"))
            return waiting, await everything(graph, config("t"))

    waiting, done = await alike_reopened(lasting_url, script)
    assert waiting[0]["next"] == ("work",) * 30
    assert done[0]["values"]["results"] == [*range(30), ["sum", sum(range(30))]]


async def test_branches_send_branches(saver: SQLAlchemySaver) -> None:
    def split(task: dict[str, int]) -> Command[Any]:
        return Command(update={"results": [task["n"]]}, goto=[Send("leaf", {"n": 10 * task["n"] + k}) for k in range(3)])

    async def script(saver: Saver) -> Any:
        builder = (
            StateGraph(Numbers).add_node("split", split, destinations=("leaf",)).add_node("leaf", lambda task: {"results": [task["n"]]})
        )
        builder.add_conditional_edges(START, lambda state: [Send("split", {"n": n}) for n in range(state["count"])], ["split"])
        graph = builder.compile(checkpointer=saver)
        await graph.ainvoke({"count": 4, "results": []}, config("t"))
        return await everything(graph, config("t"))

    states = await alike(saver, script)
    assert states[0]["values"]["results"] == [*range(4), *(10 * n + k for n in range(4) for k in range(3))]


async def test_a_branch_that_asks_holds_up_only_itself(lasting_url: str) -> None:
    runs: Counter[int] = Counter()

    def work(task: dict[str, int]) -> dict[str, list[Any]]:
        runs[task["n"]] += 1
        return {"results": [interrupt(f"{task['n']}?") if task["n"] % 3 == 0 else task["n"]]}

    def build(saver: Saver) -> Any:
        builder = StateGraph(Numbers).add_node("work", work)
        builder.add_conditional_edges(START, lambda state: [Send("work", {"n": n}) for n in range(state["count"])], ["work"])
        return builder.compile(checkpointer=saver)

    async def script(open_saver: Open) -> Any:
        runs.clear()
        async with open_saver() as saver:
            await build(saver).ainvoke({"count": 7, "results": []}, config("t"))
        async with open_saver() as saver:
            graph = build(saver)
            ids = await questions(graph, config("t"))
            await graph.ainvoke(Command(resume={ids["3?"]: "three"}), config("t"))
            await graph.ainvoke(Command(resume={ids["0?"]: "zero", ids["6?"]: "six"}), config("t"))
            return dict(runs), await everything(graph, config("t"))

    counted, states = await alike_reopened(lasting_url, script)
    assert states[0]["values"]["results"] == ["zero", 1, 2, "three", 4, 5, "six"]
    assert {counted[n] for n in (1, 2, 4, 5)} == {1}


# --- subgraphs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3])
async def test_an_interrupt_inside_subgraphs_outlives_its_saver(lasting_url: str, depth: int) -> None:
    async def script(open_saver: Open) -> Any:
        async with open_saver() as saver:
            await nested(depth, asker()).compile(checkpointer=saver).ainvoke({"log": []}, config("t"))
        async with open_saver() as saver:
            graph = nested(depth, asker()).compile(checkpointer=saver)
            waiting = seen(await graph.aget_state(config("t"), subgraphs=True))
            await graph.ainvoke(Command(resume="answer"), config("t"))
            return waiting, await everything(graph, config("t"))

    waiting, done = await alike_reopened(lasting_url, script)
    inmost = waiting
    for _ in range(depth):
        inmost = inmost["tasks"][0]["state"]
    assert inmost["values"]["secret"] == ["thought"]
    assert inmost["interrupts"] == ["deep?"]
    assert "answer after 1" in done[0]["values"]["log"]


async def test_a_subgraphs_states_are_kept_under_namespaces_of_their_own(saver: SQLAlchemySaver) -> None:
    async def script(saver: Saver) -> Any:
        graph = nested(2, asker()).compile(checkpointer=saver)
        await graph.ainvoke({"log": []}, config("t"))
        found = [loaded.config["configurable"]["checkpoint_ns"] async for loaded in saver.alist({"configurable": {"thread_id": "t"}})]
        places = Counter("/".join(part.partition(":")[0] for part in place.split("|")) for place in found)
        middle = (await graph.aget_state(config("t"), subgraphs=True)).tasks[0].state
        inmost = middle.tasks[0].state
        return dict(places), [await everything(graph, namespace(state.config)) for state in (middle, inmost)]

    places, (_, inmost) = await alike(saver, script)
    assert set(places) == {"", "within", "within/within"}
    assert [state["values"].get("secret") for state in inmost] == [["thought"], [], []]


async def test_a_subgraph_with_a_memory_remembers_earlier_invocations(lasting_url: str) -> None:
    def recall(state: Inner) -> Inner:
        return {"log": [f"met {len(state['secret'])} times"], "secret": ["met"]}

    async def script(open_saver: Open) -> Any:
        for _ in range(3):
            async with open_saver() as saver:
                inner = StateGraph(Inner).add_sequence([recall]).add_edge(START, "recall").compile(checkpointer=True)
                graph = StateGraph(Log).add_node("inner", inner).add_edge(START, "inner").compile(checkpointer=saver)
                await graph.ainvoke({"log": []}, config("t"))
        async with open_saver() as saver:
            outer = await everything(graph := graph.copy({"checkpointer": saver}), config("t"))
            return outer, await everything(graph, config("t", checkpoint_ns="inner"))

    outer, inner = await alike_reopened(lasting_url, script)
    assert [entry for entry in outer[0]["values"]["log"] if entry.startswith("met")][-1] == "met 2 times"
    assert inner[0]["values"]["secret"] == ["met"] * 3


async def test_a_subgraphs_state_is_updated_while_it_waits(saver: SQLAlchemySaver) -> None:
    async def script(saver: Saver) -> Any:
        graph = nested(2, asker()).compile(checkpointer=saver)
        await graph.ainvoke({"log": []}, config("t"))
        middle = (await graph.aget_state(config("t"), subgraphs=True)).tasks[0].state
        await graph.aupdate_state(middle.tasks[0].state.config, {"secret": ["told"]})
        await graph.ainvoke(Command(resume="answer"), config("t"))
        return await everything(graph, config("t"))

    states = await alike(saver, script)
    assert any(entry.startswith("answer after 2") for entry in states[0]["values"]["log"])


async def test_parallel_subgraphs_wait_each_for_its_own_answer(lasting_url: str) -> None:
    def build(saver: Saver) -> Any:
        builder = StateGraph(Log).add_node("inner", asker())
        builder.add_conditional_edges(START, lambda _state: [Send("inner", {"log": [], "secret": ["x"] * n}) for n in range(4)], ["inner"])
        return builder.compile(checkpointer=saver)

    async def script(open_saver: Open) -> Any:
        async with open_saver() as saver:
            await build(saver).ainvoke({"log": []}, config("t"))
        async with open_saver() as saver:
            graph = build(saver)
            asked = (await graph.aget_state(config("t"))).interrupts
            await graph.ainvoke(Command(resume={asked[2].id: "two"}), config("t"))
            waiting = seen(await graph.aget_state(config("t"), subgraphs=True))
            await graph.ainvoke(Command(resume={asked[n].id: str(n) for n in (0, 1, 3)}), config("t"))
            return waiting, await everything(graph, config("t"))

    _, done = await alike_reopened(lasting_url, script)
    assert done[0]["values"]["log"] == ["0 after 1", "1 after 2", "two after 3", "3 after 4"]


# --- time travel -------------------------------------------------------------------------------------------------------


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


# --- updates by hand ---------------------------------------------------------------------------------------------------


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


# --- a node that fails -------------------------------------------------------------------------------------------------


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
            fallen = await everything(graph, config("t"))
            await graph.ainvoke(None, config("t"), durability=durability)
            return fallen, dict(fragile.runs), await everything(graph, config("t"))

    fallen, runs, done = await alike_reopened(lasting_url, script)
    assert [task["error"] for task in fallen[0]["tasks"]] == ["None", "\"ValueError('at first')\"", "None"]
    assert [task["result"] for task in fallen[0]["tasks"]] == [{"log": ["a run 1"]}, None, {"log": ["z run 1"]}]
    assert runs == {"a": 1, "fail": 2, "z": 1, "last": 1}
    assert done[0]["values"]["log"] == ["start", "a run 1", "fail run 2", "z run 1", "last run 1"]


async def test_a_run_that_was_cancelled_goes_on_where_it_stopped(lasting_url: str) -> None:
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


# --- functions ---------------------------------------------------------------------------------------------------------


async def test_a_workflow_of_functions_repeats_no_task_and_knows_its_last_result(lasting_url: str) -> None:
    async def script(open_saver: Open) -> Any:
        runs: Counter[str] = Counter()

        @task
        async def double(n: int) -> int:
            runs[f"double {n}"] += 1
            return 2 * n

        results = []
        for given in (3, Command(resume=10), 4, Command(resume=20)):
            async with open_saver() as saver:

                @entrypoint(checkpointer=saver)
                async def workflow(n: int, *, previous: Any = None) -> dict[str, Any]:
                    doubled = await asyncio.gather(*[double(k) for k in range(n)])
                    return {"sum": sum(doubled) + interrupt("add?"), "previous": previous}

                results.append(await workflow.ainvoke(given, config("t"), stream_mode="values"))
        return [result.get("sum") for result in results if result], results[-1], dict(runs)

    _, last, runs = await alike_reopened(lasting_url, script)
    assert last == {"sum": 12 + 20, "previous": {"sum": 6 + 10, "previous": None}}
    assert runs == {"double 0": 2, "double 1": 2, "double 2": 2, "double 3": 1}


# --- states of every kind ----------------------------------------------------------------------------------------------


class Chat(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


MESSAGES: Sequence[AnyMessage] = (
    SystemMessage("Be brief.", id="s"),
    HumanMessage(
        [{"type": "text", "text": "What is this? \N{DOG FACE} \x00"}, {"type": "image_url", "image_url": {"url": "data:,"}}], id="h"
    ),
    AIMessage(
        "I'll look.",
        id="a",
        tool_calls=[{"name": "look", "args": {"deep": [1, 2.5, None], "at": {"x": True}}, "id": "call", "type": "tool_call"}],
        usage_metadata={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
        response_metadata={"model": "none"},
    ),
    ToolMessage("A dog.", id="t", tool_call_id="call", artifact={"picture": b"\x00\xff" * 100}, status="success"),
    AIMessage("A dog.", id="z", additional_kwargs={"why": "it is"}),
)


async def test_messages_come_back_equal(lasting_url: str) -> None:
    async def script(open_saver: Open) -> Any:
        left = iter(MESSAGES[1:])
        async with open_saver() as saver:
            chat = StateGraph(Chat).add_node("say", lambda _state: {"messages": [next(left)]}).add_edge(START, "say")
            graph = chat.compile(checkpointer=saver)
            await graph.ainvoke({"messages": [MESSAGES[0]]}, config("t"))
            for _ in MESSAGES[2:]:
                await graph.ainvoke({"messages": []}, config("t"))
        async with open_saver() as saver:
            return await everything(chat.compile(checkpointer=saver), config("t"))

    states = await alike_reopened(lasting_url, script)
    messages = states[0]["values"]["messages"]
    assert messages == list(MESSAGES)
    assert [type(message) for message in messages] == [type(message) for message in MESSAGES]
    assert messages[3].artifact == {"picture": b"\x00\xff" * 100}


class Mood(Enum):
    CALM = "calm"
    WILD = "wild"


class Pet(BaseModel):
    name: str
    mood: Mood = Mood.CALM
    born: datetime = datetime(2020, 2, 29, tzinfo=UTC)


class Household(BaseModel):
    pets: list[Pet] = []
    best: Pet | None = None
    log: Annotated[list[str], operator.add] = []


async def test_a_pydantic_state_comes_back_as_its_models(lasting_url: str) -> None:
    def adopt(state: Household) -> dict[str, Any]:
        pet = Pet(name=f"pet {len(state.pets)}", mood=Mood.WILD)
        return {"pets": [*state.pets, pet], "best": pet, "log": [repr(state.best)]}

    async def script(open_saver: Open) -> Any:
        for _ in range(3):
            async with open_saver() as saver:
                graph = StateGraph(Household).add_sequence([adopt]).add_edge(START, "adopt").compile(checkpointer=saver)
                await graph.ainvoke(Household(log=["start"]) if not await history(graph, config("t")) else {"log": []}, config("t"))
                states = await everything(graph, config("t"))
        return states

    states = await alike_reopened(lasting_url, script)
    assert states[0]["values"]["pets"] == [Pet(name=f"pet {n}", mood=Mood.WILD) for n in range(3)]
    assert all(type(pet) is Pet for pet in states[0]["values"]["pets"])


@dataclass
class Point:
    x: float
    y: Decimal


@dataclass
class Desk:
    points: Annotated[list[Point], operator.add] = field(default_factory=list)
    things: dict[str, Any] = field(default_factory=dict)


THINGS: dict[str, Any] = {
    "bytes": b"\x00\x01\xff",
    "set": {1, 2},
    "frozen": frozenset({"a"}),
    "deque": deque([1, 2], maxlen=5),
    "id": UUID(int=7),
    "span": timedelta(days=1, microseconds=1),
    "keys": {"": 1, "a.b": {"c": [True, 1, 1.0]}},
    "text": "\x00 \N{SNOWMAN} ' \" % \\ {}",
    "large": 2**63,
    "lines": ["x" * 5_000] * 20,
}


async def test_a_dataclass_state_comes_back_with_every_type(lasting_url: str) -> None:
    def draw(state: Desk) -> dict[str, Any]:
        return {"points": [Point(len(state.points) + 0.5, Decimal("1.10"))], "things": THINGS}

    async def script(open_saver: Open) -> Any:
        for _ in range(2):
            async with open_saver() as saver:
                graph = StateGraph(Desk).add_sequence([draw]).add_edge(START, "draw").compile(checkpointer=saver)
                await graph.ainvoke(Desk(points=[Point(0.0, Decimal(0))]), config("t"))
                states = await everything(graph, config("t"))
        return states

    states = await alike_reopened(lasting_url, script)
    assert states[0]["values"]["things"] == THINGS
    assert [point.x for point in states[0]["values"]["points"]] == [0.0, 1.5, 0.0, 3.5]


async def test_a_copy_with_an_allowlist_reads_types_that_the_saver_does_not(url: str) -> None:
    allowed = [(Point.__module__, kind) for kind in ("Point", "Desk")]

    async def script(saver: Saver) -> Any:
        builder = StateGraph(Desk).add_node("draw", lambda _state: {"points": [Point(1.0, Decimal(2))]}).add_edge(START, "draw")
        await builder.compile(checkpointer=saver.with_allowlist(allowed)).ainvoke(Desk(), config("t"))
        read = [await builder.compile(checkpointer=each).aget_state(config("t")) for each in (saver.with_allowlist(allowed), saver)]
        return [state.values["points"] for state in read]

    async with SQLAlchemySaver.from_conn_string(url, serde=JsonPlusSerializer(allowed_msgpack_modules=None)) as saver:
        listed, unlisted = await script(saver)
    assert [listed, unlisted] == await script(InMemorySaver(serde=JsonPlusSerializer(allowed_msgpack_modules=None)))
    assert listed == [Point(1.0, Decimal(2))]
    assert not isinstance(unlisted[0], Point)


async def test_a_graph_is_streamed_with_its_checkpoints(saver: SQLAlchemySaver) -> None:
    async def script(saver: Saver) -> Any:
        graph = steps("a", "b").compile(checkpointer=saver)

        async def stream() -> AsyncIterator[Any]:
            async for mode, chunk in graph.astream({"log": ["start"]}, config("t"), stream_mode=["values", "updates", "checkpoints"]):
                yield mode, (chunk["values"], chunk["next"], chunk["metadata"]["step"]) if mode == "checkpoints" else chunk

        return [chunk async for chunk in stream()]

    chunks = await alike(saver, script)
    assert [mode for mode, _ in chunks].count("checkpoints") == 4
