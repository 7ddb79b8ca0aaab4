"""Graphs whose channels are rebuilt from writes (DeltaChannel)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.channels.delta import DeltaChannel
from langgraph.graph import START, StateGraph
from langgraph.types import StateSnapshot
from typing_extensions import TypedDict

from tests.support.graphs import checkpoint_id, history, seen

#: With a snapshot at every update, at some updates, and at none.
FREQUENCIES = (1, 3, 1000)


every_frequency = pytest.mark.parametrize("frequency", FREQUENCIES)


def extend(said: list[str], more: Sequence[list[str]]) -> list[str]:
    return [*said, *(message for messages in more for message in messages)]


def merge(known: dict[str, int], more: Sequence[Mapping[str, int]]) -> dict[str, int]:
    return {**known, **{name: value for facts in more for name, value in facts.items()}}


class Last(TypedDict):
    last: str


def talk_state(frequency: int | None) -> Any:
    """A state with a long list and a dict. If the frequency is None, the list is an ordinary channel."""
    said: Any = operator.add if frequency is None else DeltaChannel(extend, snapshot_frequency=frequency)
    facts: Any = DeltaChannel(merge, snapshot_frequency=(frequency or 1) // 2 + 1)
    fields: Any = {"said": Annotated[list[str], said], "facts": Annotated[dict[str, int], facts], "last": str}
    make: Any = TypedDict
    return make("Talk", fields)


def talk(frequency: int | None = 1000, **names: Callable[..., Any]) -> StateGraph[Any, Any, Any, Any]:
    """Two parallel nodes that each append a message, and one after them that counts the messages."""
    state = talk_state(frequency)
    builder = StateGraph(state)
    for name in ("left", "right"):
        builder.add_node(name, names.get(name, lambda state, name=name: {"said": [f"{name} after {len(state['said'])}"]}))
        builder.add_edge(START, name)
    builder.add_node("count", lambda state: {"facts": {"heard": len(state["said"])}, "last": state["said"][-1]})
    return builder.add_edge(["left", "right"], "count")


async def turns(graph: Any, where: RunnableConfig, count: int, **more: Any) -> None:
    """Invoke the graph with `count` questions."""
    for turn in range(count):
        await graph.ainvoke({"said": [f"question {turn}"]}, where, **more)


async def middle_of(graph: Any, where: RunnableConfig) -> StateSnapshot:
    """A state in the middle of the thread, at which both parallel nodes are due."""
    due = [snapshot for snapshot in await history(graph, where) if snapshot.next == ("left", "right")]
    return due[len(due) // 2]


def holds(snapshot: StateSnapshot) -> Any:
    """The part of a state that survives a copy or a prune."""
    parts = seen(snapshot)
    return [parts[part] for part in ("values", "next", "tasks", "interrupts")]


async def by_id(graph: Any, where: RunnableConfig) -> dict[str | None, Any]:
    """Every state of a thread, each read by its own id."""
    return {checkpoint_id(found.config): holds(await graph.aget_state(found.config)) for found in await history(graph, where)}
