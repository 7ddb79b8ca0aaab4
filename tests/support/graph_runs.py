"""Threads with a history: graphs, and scripts that run each of them three times, one run per day."""

from __future__ import annotations

import asyncio
import operator
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt
from typing_extensions import TypedDict

from ckptstore import SQLAlchemySaver
from tests.support.build import config
from tests.support.clocks import Days
from tests.support.delta_graphs import Last, talk, talk_state
from tests.support.graphs import asker, asking, nested, steps
from tests.support.remaining import World, ids_of

# --- scripts --------------------------------------------------------------------------------------------------------


def text(number: int, size: int = 700) -> str:
    """A text that shares no part with that of another number, and is long enough to be split into segments."""
    return random.Random(number).randbytes(size // 2).hex()


@dataclass
class Script:
    """Makes a thread with one run per day, so that a run's number is its day."""

    saver: SQLAlchemySaver
    clock: Days
    world: World
    graph: Any
    run: int = -1
    run_ids: Iterator[str] = field(default_factory=lambda: ids_of(-1))

    def next_run(self) -> None:
        self.run += 1
        self.run_ids = ids_of(self.run)
        self.clock.go_to(self.run)

    def at(self, where: RunnableConfig | None = None) -> RunnableConfig:
        named = (where or config("t"))["configurable"]
        return {"configurable": {**named, "run_id": next(self.run_ids)}}

    async def invoke(self, given: Any, where: RunnableConfig | None = None, **more: Any) -> None:
        await self.graph.ainvoke(given, self.at(where), **more)

    async def invoke_or_fail(self, given: Any) -> None:
        """Invoke; if the world is broken, expect the failure and repair the world."""
        with pytest.raises(ValueError, match="broken") if self.world.broken else nullcontext():
            await self.invoke(given)
        # LangGraph hands over the error of a task that it cancelled after it has raised.
        await asyncio.sleep(0)
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)
        self.world.broken = False

    async def answer(self, *asked: str) -> None:
        """Answer the questions with these texts, or all questions."""
        waiting = (await self.graph.aget_state(config("t"))).interrupts
        answers = {each.id: f"answered {each.value} in run {self.run}" for each in waiting if not asked or each.value in asked}
        assert answers
        await self.invoke(Command(resume=answers))

    async def earlier(self, *due: str) -> RunnableConfig:
        """The third-oldest checkpoint at which these nodes are due, or the newest if there are fewer."""
        found = [snapshot.config async for snapshot in self.graph.aget_state_history(config("t")) if snapshot.next == due]
        oldest: RunnableConfig = found[-3:][0]
        return oldest


async def plain(script: Script) -> None:
    for number in range(3):
        script.next_run()
        await script.invoke({"log": [text(number), text(10 + number)]}, interrupt_before=["b"] if number == 2 else None)


async def forked(script: Script) -> None:
    script.next_run()
    await script.invoke({"log": [text(0), text(1, 90_000)]})
    script.next_run()
    await script.invoke({"log": [text(2), text(3)]}, await script.earlier("b"))
    await script.graph.aupdate_state(script.at(await script.earlier("b")), {"log": [text(4)]})
    script.next_run()
    await script.invoke(None, await script.graph.aupdate_state(script.at(await script.earlier("c")), {"log": [text(5)]}, as_node="a"))
    await script.invoke({"log": [text(6)]}, await script.earlier("a"), interrupt_before=["c"])


async def asked(script: Script) -> None:
    script.next_run()
    await script.invoke({"log": [text(0)]})
    await script.answer()
    script.next_run()
    await script.invoke({"log": [text(1)]})
    script.next_run()
    # A question of the second run is answered in the third: a root's checkpoint and its subgraph's are of different runs.
    await script.answer()
    await script.invoke({"log": [text(2)]})
    within = (await script.graph.aget_state(config("t"), subgraphs=True)).tasks[0].state
    await script.graph.aupdate_state(script.at(within.tasks[0].state.config), {"secret": [text(3)]})


async def asked_thrice(script: Script) -> None:
    for _ in range(3):
        script.next_run()
        await script.invoke({"log": [text(script.run)]})
        await script.answer("b?")


async def remembered(script: Script) -> None:
    for number in range(3):
        script.next_run()
        await script.invoke({"last": text(number)})
        if number < 2:
            await script.answer()


async def spoken(script: Script) -> None:
    script.next_run()
    for turn in range(3):
        await script.invoke({"said": [text(turn)]})
    script.next_run()
    await script.invoke(None, await script.earlier("left", "right"))
    by_hand = await script.graph.aupdate_state(script.at(await script.earlier("count")), {"said": [text(8)]}, as_node="left")
    await script.invoke(None, by_hand)
    script.next_run()
    await script.invoke({"said": [text(9)]})
    await script.invoke({"said": ["stop"]}, interrupt_before=["count"])


async def spoken_at_the_end(script: Script) -> None:
    for number in range(3):
        script.next_run()
        for turn in range(2):
            await script.invoke({"said": [text(turn)]}, durability="exit")
        await script.invoke({"said": [text(number)]}, await script.earlier(), durability="exit")
        await script.invoke({"said": ["stop"]}, durability="exit", interrupt_before=["count"])


async def spoken_and_asked(script: Script) -> None:
    for number in range(3):
        script.next_run()
        await script.invoke({"said": [text(number)]})
        if number < 2:
            await script.answer()


async def changed(script: Script) -> None:
    """A channel that is first an ordinary one, then rebuilt from writes, then unknown to the graph."""
    script.next_run()
    graph = script.graph
    script.graph = talk(None).compile(checkpointer=script.saver)
    await script.invoke({"said": [text(0)]})
    script.graph = graph
    await script.invoke({"said": [text(1)]})
    script.next_run()
    await script.invoke({"said": [text(2)]})
    script.next_run()
    script.graph = (
        StateGraph(Last).add_node("speak", lambda _state: {"last": "x"}).add_edge(START, "speak").compile(checkpointer=script.saver)
    )
    await script.invoke({"last": "rolled back"})


async def failed(script: Script) -> None:
    for number in range(3):
        script.next_run()
        script.world.broken = number > 0
        await script.invoke_or_fail({"said": [text(number)]})


async def sent(script: Script) -> None:
    """Branches that wait, then end; in the last run one of them fails."""
    for number in range(3):
        script.next_run()
        await script.invoke({"said": [text(number)]}, interrupt_before=["work"])
        script.world.broken = number == 2
        await script.invoke_or_fail(None)


def fragile(world: World, frequency: int) -> StateGraph[Any, Any, Any, Any]:
    """A graph of which one node fails once the other's message is stored."""

    async def right(state: Any) -> Any:
        await world.fail_once_written("said")
        return {"said": [f"right after {len(state['said'])}"]}

    def left(state: Any) -> Any:
        world.runs["left"] += 1
        return {"said": [f"left after {len(state['said'])}"]}

    return talk(frequency, left=left, right=right)


def sending(world: World) -> StateGraph[Any, Any, Any, Any]:
    """A graph of branches, one of which fails once another's message is stored."""

    async def work(branch: Any) -> Any:
        if branch["n"] == 1:
            await world.fail_once_written("said")
        world.runs[str(branch["n"])] += 1
        return {"said": [f"branch {branch['n']}"]}

    builder = StateGraph(talk_state(1000)).add_node("work", work).add_node("count", lambda state: {"facts": {"heard": len(state["said"])}})
    builder.add_conditional_edges(START, lambda _state: [Send("work", {"n": n}) for n in range(3)], ["work"])
    return builder.add_edge("work", "count")


def fragile_within(world: World, frequency: int, checkpointer: Any = None) -> StateGraph[Any, Any, Any, Any]:
    inner = fragile(world, frequency).compile(checkpointer=checkpointer)
    return StateGraph(talk_state(frequency)).add_node("inner", inner).add_edge(START, "inner")


def speaking_within(frequency: int, checkpointer: Any = None) -> StateGraph[Any, Any, Any, Any]:
    """A subgraph whose channels are rebuilt from writes, and one of whose nodes asks a question."""
    inner = talk(frequency, right=lambda _state: {"said": [interrupt("right?")]}).compile(checkpointer=checkpointer)
    builder = StateGraph(talk_state(frequency)).add_node("inner", inner).add_node("beside", lambda _state: {"facts": {"beside": 1}})
    return builder.add_edge(START, "inner").add_edge(START, "beside")


def remembering() -> StateGraph[Any, Any, Any, Any]:
    """A subgraph that keeps its state from run to run, and one that asks a question."""

    class Memory(TypedDict):
        last: str
        met: Annotated[list[str], operator.add]

    memory = StateGraph(Memory).add_node("recall", lambda state: {"met": [state["last"]], "last": f"met {len(state['met'])} times"})
    ask = StateGraph(Last).add_node("ask", lambda state: {"last": f"{state['last']}, {interrupt('deep?')}"}).add_edge(START, "ask")
    builder = (
        StateGraph(Last).add_node("memory", memory.add_edge(START, "recall").compile(checkpointer=True)).add_node("ask", ask.compile())
    )
    return builder.add_edge(START, "memory").add_edge("memory", "ask")


class Case(NamedTuple):
    """A graph, and a script that runs it three times."""

    build: Callable[[World], StateGraph[Any, Any, Any, Any]]
    script: Callable[[Script], Awaitable[None]]


CASES = {
    "plain": Case(lambda _: steps("a", "b", "c"), plain),
    "forked": Case(lambda _: steps("a", "b", "c"), forked),
    "subgraphs": Case(lambda _: nested(2, asker()), asked),
    "several interrupts": Case(lambda _: asking("a", "b", "c"), asked_thrice),
    "a memory": Case(lambda _: remembering(), remembered),
    "sends": Case(sending, sent),
    "delta, every step": Case(lambda _: talk(1), spoken),
    "delta, some steps": Case(lambda _: talk(3), spoken),
    "delta, never": Case(lambda _: talk(1000), spoken),
    "delta, stored at the end": Case(lambda _: talk(1000), spoken_at_the_end),
    "delta, changed": Case(lambda _: talk(1000), changed),
    "delta in a subgraph": Case(lambda _: speaking_within(3), spoken_and_asked),
    "delta in a memory": Case(lambda _: speaking_within(1000, True), spoken_and_asked),
    "a crash": Case(lambda world: fragile(world, 1000), failed),
    "a crash, some steps": Case(lambda world: fragile(world, 3), failed),
    "a crash in a subgraph": Case(lambda world: fragile_within(world, 1000), failed),
}
