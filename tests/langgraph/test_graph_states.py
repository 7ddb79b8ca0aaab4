"""States of every kind come back from graphs."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import START, StateGraph, add_messages
from pydantic import BaseModel
from typing_extensions import TypedDict

from ckptstore import SQLAlchemySaver
from tests.support.build import config
from tests.support.graphs import (
    Open,
    Saver,
    alike_reopened,
    everything,
    history,
)


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
