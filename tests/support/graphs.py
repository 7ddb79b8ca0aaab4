"""Graphs that several tests run, and the parts of their states to compare."""

from __future__ import annotations

import asyncio
import json
import operator
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import FunctionType
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Send, StateSnapshot, interrupt
from typing_extensions import TypedDict

from ckptstore import SQLAlchemySaver
from tests.support.build import config

Saver = BaseCheckpointSaver[str]


Open = Callable[[], AbstractAsyncContextManager[Saver]]


class Log(TypedDict):
    log: Annotated[list[str], operator.add]


def seen(snapshot: StateSnapshot) -> dict[str, Any]:
    """A state without the parts that differ from run to run: ids, times and configs."""
    metadata = {name: value for name, value in (snapshot.metadata or {}).items() if name not in ("parents", "run_id")}
    return {
        "values": snapshot.values,
        "next": snapshot.next,
        "metadata": json.loads(json.dumps(metadata)),
        "interrupts": [asked.value for asked in snapshot.interrupts],
        "tasks": [
            {
                "name": task.name,
                "path": [part for part in task.path if not isinstance(part, tuple)],
                "error": repr(task.error),
                "interrupts": [asked.value for asked in task.interrupts],
                "result": task.result,
                "state": seen(task.state) if isinstance(task.state, StateSnapshot) else task.state is not None,
            }
            for task in snapshot.tasks
        ],
    }


async def history(graph: Any, where: RunnableConfig) -> list[StateSnapshot]:
    """Every state of a thread, newest first."""
    return [snapshot async for snapshot in graph.aget_state_history(where)]


def checkpoint_id(where: RunnableConfig | None) -> str | None:
    """The checkpoint that a config names."""
    return None if where is None else where["configurable"].get("checkpoint_id")


def namespace(where: RunnableConfig) -> RunnableConfig:
    """All checkpoints of the namespace that a config is in."""
    return config(where["configurable"]["thread_id"], checkpoint_ns=where["configurable"]["checkpoint_ns"])


async def everything(graph: Any, where: RunnableConfig) -> list[dict[str, Any]]:
    """Every state of a thread, newest first, with the index of its parent; asserts that listing and reading by id agree."""
    listed = await history(graph, where)
    order = [checkpoint_id(snapshot.config) for snapshot in listed]
    assert order == sorted(order, key=str, reverse=True)
    alone = [await graph.aget_state(snapshot.config) for snapshot in listed]
    assert [seen(snapshot) for snapshot in alone] == [seen(snapshot) for snapshot in listed]
    parents = [checkpoint_id(snapshot.parent_config) for snapshot in listed]
    return [
        {**seen(snapshot), "parent": None if parent is None else order.index(parent)}
        for snapshot, parent in zip(listed, parents, strict=True)
    ]


#: What scripts gave with LangGraph's saver, which is the same for each of our databases: half of the time of a test goes there.
_THEIRS: dict[Any, Any] = {}


def identity(part: Any) -> Any:
    """What a script is known by, if all that it holds on to is plain.

    Raises:
        TypeError: it holds on to something else, which another test may have changed.
    """
    if isinstance(part, FunctionType):
        cells = [cell.cell_contents for cell in part.__closure__ or ()]
        return part.__module__, part.__code__, *map(identity, (*cells, *(part.__defaults__ or ())))
    if part is None or isinstance(part, int | float | str):
        return type(part), part
    raise TypeError(f"{type(part).__name__} may change")


async def alike(saver: Saver, script: Callable[[Saver], Awaitable[Any]]) -> Any:
    """Run a script on our saver and on LangGraph's, assert that the outcomes are equal, and return ours."""
    ours = await script(saver)
    assert ours == await theirs(script, InMemorySaver())
    return ours


async def alike_reopened(url: str, script: Callable[[Open], Awaitable[Any]]) -> Any:
    """Like `alike`, for a script that closes and reopens the saver."""
    memory = InMemorySaver()
    ours = await script(lambda: SQLAlchemySaver.from_conn_string(url))
    assert ours == await theirs(script, lambda: memory)
    return ours


async def theirs(script: Callable[[Any], Awaitable[Any]], saver: Any) -> Any:
    """What a script gives with LangGraph's saver; it is run once if it holds on to nothing that changes."""
    try:
        key = identity(script)
    except TypeError:
        return await script(saver)
    if key not in _THEIRS:
        _THEIRS[key] = await script(saver)
    return _THEIRS[key]


def steps(*names: str) -> StateGraph[Any, Any, Any, Any]:
    """Nodes in a row, each of which logs its name."""

    def log(name: str) -> Callable[[Log], Log]:
        return lambda state: {"log": [f"{name}{len(state['log'])}"]}

    return StateGraph(Log).add_sequence([(name, log(name)) for name in names]).add_edge(START, names[0])


def asking(*names: str) -> StateGraph[Any, Any, Any, Any]:
    """Parallel nodes that each ask a question, and one that runs after all of them."""

    def ask(name: str) -> Callable[[Log], Log]:
        return lambda _state: {"log": [f"{name}: {interrupt(f'{name}?')}"]}

    builder = StateGraph(Log)
    for name in names:
        builder.add_node(name, ask(name)).add_edge(START, name)
    return builder.add_node("last", lambda state: {"log": [f"{len(state['log'])} answers"]}).add_edge(list(names), "last")


async def questions(graph: Any, where: RunnableConfig) -> dict[str, str]:
    """The ids of the questions that are open, by question."""
    return {asked.value: asked.id for asked in (await graph.aget_state(where)).interrupts}


class Numbers(TypedDict):
    count: int
    results: Annotated[list[Any], operator.add]


def map_reduce() -> StateGraph[Any, Any, Any, Any]:
    """`count` branches, which end in another order than they were sent, and a node that adds up their results."""

    async def work(task: dict[str, int]) -> dict[str, list[int]]:
        for _ in range(task["n"] * 7 % 5):
            await asyncio.sleep(0)
        return {"results": [task["n"]]}

    builder = StateGraph(Numbers).add_node("work", work).add_node("total", lambda state: {"results": [["sum", sum(state["results"])]]})
    builder.add_conditional_edges(START, lambda state: [Send("work", {"n": n}) for n in range(state["count"])], ["work"])
    return builder.add_edge("work", "total")


class Inner(TypedDict):
    log: Annotated[list[str], operator.add]
    secret: Annotated[list[str], operator.add]


def asker(checkpointer: Any = None) -> Any:
    """A subgraph with a channel of its own, which asks in its second node."""
    builder = StateGraph(Inner).add_node("think", lambda _state: {"secret": ["thought"]})
    builder.add_node("ask", lambda state: {"log": [f"{interrupt('deep?')} after {len(state['secret'])}"], "secret": ["asked"]})
    return builder.add_edge(START, "think").add_edge("think", "ask").compile(checkpointer=checkpointer)


def nested(depth: int, innermost: Any) -> StateGraph[Any, Any, Any, Any]:
    """A graph within `depth` graphs."""
    within: Any = innermost
    for level in range(depth, 0, -1):
        builder = StateGraph(Log).add_node("before", lambda _state, level=level: {"log": [f"in {level}"]}).add_node("within", within)
        builder.add_node("after", lambda _state, level=level: {"log": [f"out {level}"]})
        builder.add_edge(START, "before").add_edge("before", "within").add_edge("within", "after")
        within = builder.compile() if level > 1 else builder
    outermost: StateGraph[Any, Any, Any, Any] = within
    return outermost
