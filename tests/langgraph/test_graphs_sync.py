"""Graphs from plain scripts, worker threads, notebooks, several event loops, and many at once: one saver serves them all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, StateUpdate, interrupt

from ckptstore import SQLAlchemySaver
from tests.support.build import config
from tests.support.delta_graphs import every_frequency, talk
from tests.support.graphs import Log, Saver, asking, everything, map_reduce, seen, steps

THREADS = 8


def alike(url: str, script: Callable[[Saver], Any]) -> Any:
    """Run a plain script on our saver and on LangGraph's; the outcomes are equal. Returns ours."""
    with SQLAlchemySaver.from_conn_string(url) as saver:
        ours = script(saver)
    assert ours == script(InMemorySaver())
    return ours


def every_state(graph: Any, where: RunnableConfig) -> list[Any]:
    """Every state of a thread, newest first, each listed and read alone."""
    listed = list(graph.get_state_history(where))
    assert [seen(graph.get_state(snapshot.config)) for snapshot in listed] == [seen(snapshot) for snapshot in listed]
    return [seen(snapshot) for snapshot in listed]


def turns(graph: Any, thread_id: str, count: int = 3) -> list[Any]:
    """So many invocations on one thread, and what it holds then."""
    for turn in range(count):
        graph.invoke({"log": [f"{thread_id} {turn}"]}, config(thread_id))
    return every_state(graph, config(thread_id))


async def turns_in_a_loop(graph: Any, thread_id: str, count: int = 3) -> list[Any]:
    """The same, asynchronously."""
    for turn in range(count):
        await graph.ainvoke({"log": [f"{thread_id} {turn}"]}, config(thread_id))
    return [{name: part for name, part in state.items() if name != "parent"} for state in await everything(graph, config(thread_id))]


def expected(thread_id: str, count: int = 3) -> list[Any]:
    """What `turns` gives with LangGraph's own saver."""
    return turns(steps("a", "b").compile(checkpointer=InMemorySaver()), thread_id, count)


# --- plain scripts -----------------------------------------------------------------------------------------------------


def test_a_plain_script_invokes_and_looks_back(url: str) -> None:
    states = alike(url, lambda saver: turns(steps("a", "b").compile(checkpointer=saver), "t"))
    assert states[0]["values"]["log"] == ["t 0", "a1", "b2", "t 1", "a4", "b5", "t 2", "a7", "b8"]


def test_a_plain_script_streams(url: str) -> None:
    def script(saver: Saver) -> Any:
        graph = steps("a", "b").compile(checkpointer=saver)
        return list(graph.stream({"log": ["start"]}, config("t"), stream_mode=["values", "updates"]))

    assert ("updates", {"b": {"log": ["b2"]}}) in alike(url, script)


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_a_plain_script_answers_parallel_questions(url: str, durability: Any) -> None:
    def script(saver: Saver) -> Any:
        graph = asking("a", "b", "c").compile(checkpointer=saver)
        graph.invoke({"log": []}, config("t"), durability=durability)
        asked = {question.value: question.id for question in graph.get_state(config("t")).interrupts}
        graph.invoke(Command(resume={asked["b?"]: "first"}), config("t"), durability=durability)
        waiting = seen(graph.get_state(config("t")))
        graph.invoke(Command(resume={asked["a?"]: "second", asked["c?"]: "third"}), config("t"), durability=durability)
        return waiting, every_state(graph, config("t"))

    waiting, done = alike(url, script)
    assert waiting["interrupts"] == ["a?", "c?"]
    assert done[0]["values"]["log"] == ["a: second", "b: first", "c: third", "3 answers"]


@every_frequency
@pytest.mark.parametrize("durability", ["sync", "exit"])
def test_a_plain_script_talks_forks_and_updates(url: str, frequency: int, durability: Any) -> None:
    def script(saver: Saver) -> Any:
        graph = talk(frequency).compile(checkpointer=saver)
        for turn in range(3):
            graph.invoke({"said": [f"question {turn}"]}, config("t"), durability=durability)
        middle = list(graph.get_state_history(config("t")))[1]
        graph.invoke({"said": ["instead"]}, middle.config, durability=durability)
        graph.bulk_update_state(config("t"), [[StateUpdate({"said": ["by hand"]}, "left")], [StateUpdate({"last": "x"}, "count")]])
        return every_state(graph, config("t"))

    states = alike(url, script)
    assert states[0]["values"]["said"][-1] == "by hand"


def test_a_plain_script_continues_after_the_saver_was_reopened(lasting_url: str) -> None:
    for turn in range(3):
        with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
            graph = steps("a", "b").compile(checkpointer=saver)
            graph.invoke({"log": [f"t {turn}"]}, config("t"))
            states = every_state(graph, config("t"))
    assert states == expected("t")


def test_branches_run_in_threads_and_keep_their_order(url: str) -> None:
    def work(task: dict[str, int]) -> dict[str, list[int]]:
        return {"results": [task["n"]]}

    def script(saver: Saver) -> Any:
        builder = map_reduce()
        builder.nodes.pop("work")
        graph = builder.add_node("work", work).compile(checkpointer=saver)
        graph.invoke({"count": 30, "results": []}, config("t"))
        return every_state(graph, config("t"))

    assert alike(url, script)[0]["values"]["results"][:-1] == list(range(30))


def test_only_the_node_that_failed_runs_again(url: str) -> None:
    def script(saver: Saver) -> Any:
        siblings_are_in, runs = threading.Event(), []

        def succeed(_state: Log) -> Log:
            runs.append("succeed")
            return {"log": ["succeeded"]}

        def fail(_state: Log) -> Log:
            runs.append("fail")
            assert siblings_are_in.wait(timeout=30)
            if runs.count("fail") == 1:
                raise ValueError("at first")
            return {"log": ["at last"]}

        builder = StateGraph(Log).add_node("succeed", succeed).add_node("fail", fail)
        graph = builder.add_edge(START, "succeed").add_edge(START, "fail").compile(checkpointer=saver)

        def run() -> None:
            # LangGraph gives out each update at once only where custom output may come too.
            for _mode, update in graph.stream({"log": []}, config("t"), stream_mode=["updates", "custom"]):
                assert "succeed" in update
                siblings_are_in.set()

        with pytest.raises(ValueError, match="at first"):
            run()
        failed = every_state(graph, config("t"))
        graph.invoke(None, config("t"))
        return sorted(runs), failed, every_state(graph, config("t"))

    runs, _, done = alike(url, script)
    assert runs == ["fail", "fail", "succeed"]
    assert done[0]["values"]["log"] == ["at last", "succeeded"]


# --- threads and loops -------------------------------------------------------------------------------------------------


def test_worker_threads_share_a_saver(url: str) -> None:
    start = threading.Barrier(THREADS)
    with SQLAlchemySaver.from_conn_string(url) as saver, ThreadPoolExecutor(THREADS) as pool:
        graph = steps("a", "b").compile(checkpointer=saver)

        def work(thread_id: str) -> list[Any]:
            start.wait(timeout=30)
            return turns(graph, thread_id)

        found = list(pool.map(work, [f"t{n}" for n in range(THREADS)]))
    assert found == [expected(f"t{n}") for n in range(THREADS)]


def test_a_script_runs_one_event_loop_after_another(url: str) -> None:
    with SQLAlchemySaver.from_conn_string(url) as saver:
        graph = steps("a", "b").compile(checkpointer=saver)
        found = [asyncio.run(turns_in_a_loop(graph, f"t{n}")) for n in range(3)]
        found.append(turns(graph, "t3"))
    assert found == [expected(f"t{n}") for n in range(4)]


async def test_a_notebook_mixes_both_ways_of_calling(saver: SQLAlchemySaver) -> None:
    graph = steps("a", "b").compile(checkpointer=saver)
    for turn in range(6):
        if turn % 2:
            graph.invoke({"log": [f"t {turn}"]}, config("t"))
        else:
            await graph.ainvoke({"log": [f"t {turn}"]}, config("t"))
        assert graph.get_state(config("t")) == await graph.aget_state(config("t"))
    assert every_state(graph, config("t")) == await asyncio.to_thread(expected, "t", 6)


async def test_a_synchronous_call_beneath_a_loop_with_runs_under_way(saver: SQLAlchemySaver) -> None:
    graph = steps("a", "b").compile(checkpointer=saver)
    under_way = [asyncio.create_task(turns_in_a_loop(graph, f"t{n}")) for n in range(5)]
    found = []
    for n in range(5, 8):
        # One turn of the loop: the others have handed writes over and wait for them.
        await asyncio.sleep(0)
        found.append(turns(graph, f"t{n}"))
    assert [*await asyncio.gather(*under_way), *found] == [expected(f"t{n}") for n in range(8)]


def test_two_loops_in_two_threads_share_a_saver(url: str) -> None:
    meeting = threading.Barrier(2)

    async def meet(state: Log) -> Log:
        await asyncio.to_thread(meeting.wait, 30)
        return {"log": [f"met after {len(state['log'])}"]}

    with SQLAlchemySaver.from_conn_string(url) as saver, ThreadPoolExecutor(2) as pool:
        graph = StateGraph(Log).add_node("meet", meet).add_edge(START, "meet").compile(checkpointer=saver)
        found = list(pool.map(lambda thread_id: asyncio.run(turns_in_a_loop(graph, thread_id)), ("one", "two")))
    logs = [states[0]["values"]["log"] for states in found]
    assert logs == [[part for turn in range(3) for part in (f"{name} {turn}", f"met after {2 * turn + 1}")] for name in ("one", "two")]
    assert [len(states) for states in found] == [9, 9]


def test_two_loops_and_a_plain_thread_share_a_thread_id(url: str) -> None:
    with SQLAlchemySaver.from_conn_string(url) as saver, ThreadPoolExecutor(3) as pool:
        graph = steps("a", "b").compile(checkpointer=saver)
        graph.invoke({"log": ["start"]}, config("t"))
        root = list(graph.get_state_history(config("t")))[-1].config
        fork = partial(graph.update_state, root, as_node="b")

        def from_a_loop(name: str) -> RunnableConfig:
            forked: RunnableConfig = asyncio.run(graph.aupdate_state(root, {"log": [name]}, as_node="b"))
            return forked

        forks = [pool.submit(from_a_loop, "one"), pool.submit(from_a_loop, "two"), pool.submit(fork, {"log": ["three"]})]
        values = [graph.get_state(future.result()).values["log"] for future in forks]
    assert values == [["one"], ["two"], ["three"]]


# --- many at once ------------------------------------------------------------------------------------------------------


async def test_fifty_runs_at_once_each_have_their_whole_history(saver: SQLAlchemySaver) -> None:
    graph = steps("a", "b").compile(checkpointer=saver)
    names = [f"t{n}" for n in range(50)]
    await asyncio.gather(*[graph.ainvoke({"log": [f"{name} 0"]}, config(name)) for name in names])
    found = await asyncio.gather(*[everything(graph, config(name)) for name in names])
    plain = [[{name: part for name, part in state.items() if name != "parent"} for state in states] for states in found]
    assert plain == [expected(name, 1) for name in names]
    assert {tuple(state["parent"] for state in states) for states in found} == {(1, 2, 3, None)}


async def test_many_runs_wait_and_are_answered_at_once(saver: SQLAlchemySaver) -> None:
    graph = StateGraph(Log).add_node("ask", lambda _state: {"log": [interrupt("?")]}).add_edge(START, "ask").compile(checkpointer=saver)
    names = [f"t{n}" for n in range(20)]
    await asyncio.gather(*[graph.ainvoke({"log": []}, config(name)) for name in names])
    done = await asyncio.gather(*[graph.ainvoke(Command(resume=name), config(name)) for name in names])
    assert [state["log"] for state in done] == [[name] for name in names]


@every_frequency
async def test_many_chats_at_once_are_rebuilt_each_from_its_own_writes(saver: SQLAlchemySaver, frequency: int) -> None:
    async def chat(graph: Any, name: str) -> Any:
        for turn in range(2):
            await graph.ainvoke({"said": [f"{name} {turn}"]}, config(name))
        return await everything(graph, config(name))

    names = [f"t{n}" for n in range(8)]
    ours, theirs = talk(frequency).compile(checkpointer=saver), talk(frequency).compile(checkpointer=InMemorySaver())
    found = await asyncio.gather(*[chat(ours, name) for name in names])
    assert found == [await chat(theirs, name) for name in names]
