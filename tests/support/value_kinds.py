"""Values of every kind."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
)
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from pydantic import BaseModel

from ckptstore.handles import handle_to
from ckptstore.values.digests import digest_of
from tests.support.values import NOISE, SERDE


class Mood(Enum):
    CALM = "calm"
    WILD = 2


class Level(IntEnum):
    LOW = 1


@dataclass
class Point:
    x: float
    label: str = ""
    more: list[Any] = field(default_factory=list)


class Pet(BaseModel):
    name: str
    mood: Mood = Mood.CALM
    born: datetime = datetime(2020, 2, 29, tzinfo=UTC)
    picture: bytes = b""


CALL = {"name": "look", "args": {"deep": [1, 2.5, None]}, "id": "call", "type": "tool_call"}


USAGE = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}


MESSAGES = [
    HumanMessage([{"type": "text", "text": "\N{DOG FACE} \0"}, {"type": "image_url", "image_url": {"url": "data:,"}}], id="h"),
    AIMessage("I'll look.", id="a", tool_calls=[CALL], usage_metadata=USAGE, response_metadata={"model": "none"}),
    AIMessage("", invalid_tool_calls=[{"name": "x", "args": "{", "id": "i", "error": "no", "type": "invalid_tool_call"}]),
    SystemMessage("Be brief.", id="s", additional_kwargs={"why": "so"}),
    ToolMessage("A dog.", tool_call_id="call", artifact={"picture": b"\x00\xff" * 50_000}, status="error"),
    FunctionMessage(content="42", name="answer"),
    ChatMessage(content="hm", role="critic"),
    RemoveMessage(id="gone"),
    AIMessageChunk(content="part", tool_call_chunks=[{"name": "look", "args": '{"a', "id": "c", "index": 0, "type": "tool_call_chunk"}]),
    HumanMessageChunk(content="part"),
    SystemMessageChunk(content="part"),
    ToolMessageChunk(content="part", tool_call_id="call"),
    FunctionMessageChunk(content="part", name="answer"),
]


KINDS: dict[str, dict[str, Any]] = {
    "messages": {type(message).__name__ + str(n): message for n, message in enumerate(MESSAGES)} | {"all": MESSAGES, "many": MESSAGES * 50},
    "plain": {
        "none": None,
        "true": True,
        "false": False,
        "zero": 0,
        "zero float": 0.0,
        "negative zero": -0.0,
        "infinite": float("inf"),
        "not a number": float("nan"),
        "large": 2**64 - 1,
        "small": -(2**63),
        "empty text": "",
        "empty list": [],
        "empty dict": {},
        "empty bytes": b"",
        "empty bytearray": bytearray(),
        "bytes": b"\0\xff",
        "bytearray": bytearray(b"\0\xff" * 400),
        "large bytearray": bytearray(NOISE.randbytes(200_000)),
        "text": "a\0b \N{SNOWMAN} \U0010ffff ' \" % \\ {}",
        "nul": "\0",
        "long text": "\0\N{SNOWMAN}" * 100_000,
        "keys": {"": 1, "a.b": {"c": [True, 1, 1.0]}, "\0": 2, 7: "seven"},
        "nested": {
            "files": {"a": NOISE.randbytes(70_000), "b": [NOISE.randbytes(65_536), {"c": NOISE.randbytes(65_535)}], "d": b"x" * 99_999}
        },
        "equal bytes": [b"y" * 70_000, {"y": b"y" * 70_000}, b"y" * 70_000],
        "zeros": [bytes(65_536 + n) for n in range(5)],
        "deep": [[[[[[[[{"a": [{"b": []}]}]]]]]]]],
        "lines": [f"line {n}" for n in range(20_000)],
        "numbers": list(range(-5_000, 5_000)),
    },
    "types": {
        "set": {1, 2},
        "frozenset": frozenset({"a"}),
        "deque": deque([1, 2], maxlen=None),
        "decimal": Decimal("1.10"),
        "uuid": UUID(int=7),
        "date": date(2020, 2, 29),
        "time": time(1, 2, 3, 4),
        "timedelta": timedelta(days=-1, microseconds=1),
        "ip": IPv4Address("127.0.0.1"),
        "naive": datetime(2020, 1, 1, 1, 2, 3, 4),
        "utc": datetime(2020, 1, 1, tzinfo=UTC),
        "path": Path("a/b"),
        "offset": datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
        "zone": ZoneInfo("Europe/Berlin"),
        "zoned": datetime(2020, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")),
        "enum": Mood.WILD,
        "int enum": Level.LOW,
        "dataclass": Point(0.5, "x", [b"y"]),
        "large dataclass": Point(1.5, "x" * 70_000, [NOISE.randbytes(70_000)]),
        "model": Pet(name="Rex", mood=Mood.WILD),
        "models": [Pet(name=f"pet {n}") for n in range(500)],
        "large model": Pet(name="Rex", picture=NOISE.randbytes(90_000)),
        "small snapshot": _DeltaSnapshot(["a", 1]),
        "snapshot of nothing": _DeltaSnapshot([]),
        "snapshot of messages": _DeltaSnapshot((MESSAGES * 20)[:200]),
        "handle": handle_to(digest_of(b"x"), 1, "text/plain"),
    },
    "arrays": {
        **{
            f"of {dtype}": (np.arange(24) % 2).astype(dtype).reshape(2, 3, 4)
            for dtype in ("?", "i1", "u2", "<i4", ">i4", "i8", "f2", "f4", "f8", "c8")
        },
        "of bytes": np.array([b"a", b"bc"]),
        "of text": np.array(["a", "\N{SNOWMAN}"]),
        "columns first": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        "every other": np.arange(100)[::2],
        "backwards": np.arange(100)[::-1],
        "of no dimension": np.array(3.5),
        "empty": np.zeros((0, 3)),
        "large": np.random.default_rng(7).random((100, 200)),
        "large columns first": np.asfortranarray(np.random.default_rng(8).random((100, 200))),
        "in a dict": {"a": np.arange(40_000), "b": [np.arange(3, dtype="f4")]},
    },
    # LangGraph's serialiser itself changes these; they are read as it returns them.
    "changed by the serialiser": {
        "tuple": (1, (2, "x")),
        "tuples": [(n, "x" * n) for n in range(300)],
        "surrogate": "a\ud800b",
        "view": memoryview(b"x" * 70_000),
    },
}


def expected(value: Any) -> Any:
    return SERDE.loads_typed(SERDE.dumps_typed(value))
