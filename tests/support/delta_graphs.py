"""Graphs whose channels are rebuilt from writes (DeltaChannel)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import pytest
from langgraph.channels.delta import DeltaChannel
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

#: Every update is a snapshot, some are, none is.
FREQUENCIES = (1, 3, 1000)


every_frequency = pytest.mark.parametrize("frequency", FREQUENCIES)


def extend(said: list[str], more: Sequence[list[str]]) -> list[str]:
    return [*said, *(message for messages in more for message in messages)]


def merge(known: dict[str, int], more: Sequence[Mapping[str, int]]) -> dict[str, int]:
    return {**known, **{name: value for facts in more for name, value in facts.items()}}


class Last(TypedDict):
    last: str


def talk_state(frequency: int | None) -> Any:
    """A state with a long list and a dict; without a frequency the list is an ordinary channel."""
    said = operator.add if frequency is None else DeltaChannel(extend, snapshot_frequency=frequency)
    facts = DeltaChannel(merge, snapshot_frequency=(frequency or 1) // 2 + 1)
    return TypedDict("Talk", {"said": Annotated[list[str], said], "facts": Annotated[dict[str, int], facts], "last": str})


def talk(frequency: int | None = 1000, **names: Callable[..., Any]) -> StateGraph[Any, Any, Any, Any]:
    """Two nodes at once that both speak, and one after them that counts what it heard."""
    state = talk_state(frequency)
    builder = StateGraph(state)
    for name in ("left", "right"):
        builder.add_node(name, names.get(name, lambda state, name=name: {"said": [f"{name} after {len(state['said'])}"]}))
        builder.add_edge(START, name)
    builder.add_node("count", lambda state: {"facts": {"heard": len(state["said"])}, "last": state["said"][-1]})
    return builder.add_edge(["left", "right"], "count")
