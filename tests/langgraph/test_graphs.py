"""Real graphs: each does with our saver just what it does with LangGraph's own, in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt

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
    map_reduce,
    namespace,
    nested,
    questions,
    seen,
    steps,
)

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
        given: Any
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
        given: Any
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


# --- functions ---------------------------------------------------------------------------------------------------------


async def test_a_workflow_of_functions_repeats_no_task_and_knows_its_last_result(lasting_url: str) -> None:
    async def script(open_saver: Open) -> Any:
        runs: Counter[str] = Counter()

        @task
        async def double(n: int) -> int:
            runs[f"double {n}"] += 1
            return 2 * n

        results = []
        given: Any
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


async def test_a_graph_is_streamed_with_its_checkpoints(saver: SQLAlchemySaver) -> None:
    async def script(saver: Saver) -> Any:
        graph = steps("a", "b").compile(checkpointer=saver)

        async def stream() -> AsyncIterator[Any]:
            chunk: Any
            async for mode, chunk in graph.astream({"log": ["start"]}, config("t"), stream_mode=["values", "updates", "checkpoints"]):
                yield mode, (chunk["values"], chunk["next"], chunk["metadata"]["step"]) if mode == "checkpoints" else chunk

        return [chunk async for chunk in stream()]

    chunks = await alike(saver, script)
    assert [mode for mode, _ in chunks].count("checkpoints") == 4
