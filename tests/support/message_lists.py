"""Lists of messages of every class, with contents of every kind, and what tells two of them apart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

import pydantic.v1
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    AnyMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from pydantic import BaseModel

SLOW = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


class Colour(StrEnum):
    RED = "red"


class Mood(Enum):
    CALM = "calm"


class Text(str):
    """Equal to a text, and of another type."""


class Opinionated(HumanMessage):
    """A subclass that serialises to something that is not in its fields."""

    mood: str = "calm"

    def model_dump(self, **options: Any) -> dict[str, Any]:
        return super().model_dump(**options) | {"mood": MOODS[-1]}


MOODS = ["calm"]


class Animal(BaseModel):
    name: str
    tags: list[str] = []


class OldAnimal(pydantic.v1.BaseModel):
    name: str


@dataclass
class Spot:
    x: float


# What is not among JSON's types, and what Python or `marshal` takes for equal to another of these.
ODD = [
    *(0.0, -0.0, 1, 1.0, True, False, float("nan"), float("inf"), 2**63, b"x", bytearray(b"x"), (1, "x"), {1, 2}, frozenset("ab")),
    *("a\ud800", Text("x"), "x", Colour.RED, Mood.CALM, datetime(2020, 1, 1, tzinfo=UTC), UUID(int=7), Animal(name="Rex", tags=["a"])),
    *(OldAnimal(name="Tom"), Spot(1.5), HumanMessage("inside", id="i")),
]

leaves = st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.floats() | st.text(max_size=8) | st.sampled_from(ODD)
contents = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3))
dicts = st.dictionaries(st.text(max_size=6), contents, max_size=3)
texts = st.text(max_size=20) | st.lists(st.text(max_size=5) | st.dictionaries(st.text(max_size=4), contents, max_size=2), max_size=2)
names = st.none() | st.text(max_size=4)
calls = st.lists(st.fixed_dictionaries({"name": st.text(max_size=4), "args": dicts, "id": names, "type": st.just("tool_call")}), max_size=2)
raw_args = st.sampled_from(['{"a": [1]}', '{"a', "", None])
chunks = st.lists(
    st.fixed_dictionaries({"name": names, "args": raw_args, "id": names, "index": st.just(0)}),
    max_size=2,
)
common = {"additional_kwargs": dicts, "response_metadata": dicts, "name": names, "id": names}
usage = st.none() | st.just({"input_tokens": 3, "output_tokens": 4, "total_tokens": 7})


def _of(cls: type[Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    # `st.builds` would make values for the other fields from their annotations.
    return st.fixed_dictionaries(fields).map(lambda given: cls(**given))


messages = st.one_of(
    _of(HumanMessage, content=texts, **common),
    _of(HumanMessage, content=texts, hint=contents, **common),
    _of(HumanMessageChunk, content=texts, **common),
    _of(AIMessage, content=texts, tool_calls=calls, usage_metadata=usage, **common),
    _of(AIMessageChunk, content=texts, tool_call_chunks=chunks, **common),
    _of(SystemMessage, content=texts, **common),
    _of(ToolMessage, content=texts, tool_call_id=st.text(max_size=4), artifact=contents, status=st.sampled_from(["error", "success"])),
    _of(FunctionMessage, content=texts, name=st.text(max_size=4)),
    _of(ChatMessage, content=texts, role=st.text(max_size=4)),
    _of(RemoveMessage, id=st.text(max_size=4)),
    _of(Document, page_content=st.text(max_size=10), metadata=dicts),
    _of(Opinionated, content=st.text(max_size=10)),
)
others = st.sampled_from([Animal(name="Rex"), OldAnimal(name="Tom"), Spot(1.0), None, 3, "text", [1], {"a": 1}])

#: Lists that are long enough for reuse, most of whose elements are messages.
message_lists = st.lists(messages | messages | messages | others, min_size=8, max_size=14)


def shapes_of(elements: list[Any]) -> list[Any]:
    """Values that hold a list, for which there may be reuse, and others."""
    channels = {"messages": elements, 7: elements[:9], "n": 1, "few": elements[:2]}
    snapshots = [_DeltaSnapshot(elements), _DeltaSnapshot(channels), [_DeltaSnapshot(elements)], _DeltaSnapshot(_DeltaSnapshot(elements))]
    return [elements, channels, elements[::-1], *snapshots]


class Counting(JsonPlusSerializer):
    """Counts what LangGraph's own serialiser does."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.dumps = self.loads = 0

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        self.dumps += 1
        return super().dumps_typed(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        self.loads += 1
        return super().loads_typed(data)


def chat(length: int) -> list[AnyMessage]:
    """A chat of two sides, with a tool call at each answer."""
    return [
        HumanMessage(f"question {n}", id=f"q{n}")
        if n % 2 == 0
        else AIMessage(f"answer {n}", id=f"a{n}", tool_calls=[{"name": "look", "args": {"deep": [n, {"x": 1}]}, "id": f"c{n}"}])
        for n in range(length)
    ]


def parts(value: Any) -> Any:
    """A value with everything that a message consists of, types included, for a comparison."""
    if isinstance(value, dict):
        return type(value), [(parts(key), parts(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), list(map(parts, value))
    if isinstance(value, BaseModel):
        slots = (value.__pydantic_extra__, value.__pydantic_private__)
        return type(value), parts(value.__dict__), parts(slots), sorted(value.__pydantic_fields_set__)
    return type(value), repr(value)
