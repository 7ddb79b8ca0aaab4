"""Structures as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from ckptstore.langgraph.structure.as_json import as_json
from ckptstore.langgraph.structure.nodes import NotShown, Pairs, Structure, Typed
from ckptstore.langgraph.structure.reading import structure_of
from ckptstore.records import Value
from tests.support.values import SERDE

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("structure", "expected"),
    [
        ([None, True, 1, 1.5, "x", {"a": []}], [None, True, 1, 1.5, "x", {"a": []}]),
        (b"", {"$bytes": 0, "sha256": EMPTY}),
        (math.inf, {"$float": "inf"}),
        ({1: "a"}, {"$pairs": [[1, "a"]]}),
        ({"$type": "x"}, {"$pairs": [["$type", "x"]]}),
        (Pairs(((Typed("a.B", [1], "value"), 2),)), {"$pairs": [[{"$type": "a.B", "value": [1]}, 2]]}),
        (Typed("a.B", {"x": 1}, "fields"), {"$type": "a.B", "fields": {"x": 1}}),
        (Typed("a.B", [1], "arguments"), {"$type": "a.B", "arguments": [1]}),
        (NotShown("why"), {"$not_shown": "why"}),
    ],
)
def test_what_json_lacks_is_an_object(structure: Structure, expected: Any) -> None:
    assert as_json(structure) == expected


def test_a_message_has_what_it_says() -> None:
    message = AIMessage("hi", id="a", tool_calls=[{"name": "look", "args": {"x": 1}, "id": "c"}], response_metadata={"model": "m"})
    assert as_json(structure_of(Value(*SERDE.dumps_typed(message)))) == {
        "$message": "langchain_core.messages.ai.AIMessage",
        "role": "ai",
        "id": "a",
        "content": "hi",
        "tool_calls": [{"name": "look", "args": {"x": 1}, "id": "c", "type": "tool_call"}],
        "more": {"response_metadata": {"model": "m"}},
    }


def test_depth_is_bounded() -> None:
    deep: Any = 1
    for _ in range(1_000):
        deep = [deep]
    assert "nested deeper than 150 levels" in json.dumps(as_json(deep))
