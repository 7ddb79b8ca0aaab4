"""A refusal says what would help for the value at hand."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore.langgraph.serialise import serialise
from ckptstore.langgraph.size_advice import advise
from tests.unit.values.test_base64_text import noise

PAYLOAD = base64.b64encode(noise(70_000)).decode()


@pytest.mark.parametrize(
    ("value", "leaves_count", "says"),
    [
        ({"file": noise(70_000)}, True, "give the saver a blob_url"),
        ([HumanMessage([{"type": "image", "base64": PAYLOAD}])], True, "give the saver a blob_url"),
        ({"screenshot": PAYLOAD}, False, "keep files as bytes, or in image, audio or file blocks"),
        ([HumanMessage("hello")] * 9, False, "trim its messages"),
        ("two words " * 10_000, False, "saver.blobs.put"),
        ("x" * 100_000, False, "saver.blobs.put"),
        ({"dump": noise(50_000).hex()}, False, "saver.blobs.put"),
        (list(range(100_000)), False, "trim it"),
    ],
    ids=["bytes", "image", "base64", "messages", "text", "one word", "hexadecimal", "numbers"],
)
def test_the_advice(value: Any, leaves_count: bool, says: str) -> None:
    assert says in advise(serialise(JsonPlusSerializer(), value, "c"), leaves_count)


def test_a_value_that_is_not_known() -> None:
    assert advise(None, False) == "trim it"
