"""Reuse applies to LangGraph's own serialiser alone, and changes neither what it refuses nor how."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore.langgraph.serialiser.reusing import ReusingSerialiser, reusing
from tests.support.serialisers import encrypting

TALK = [HumanMessage(content=f"message {number}", id=str(number)) for number in range(20)]


class Derived(JsonPlusSerializer):
    """May write anything."""


def with_replaced(name: str) -> JsonPlusSerializer:
    serde = JsonPlusSerializer()
    setattr(serde, name, getattr(serde, name))
    return serde


def with_hook() -> JsonPlusSerializer:
    def hook(code: int, data: bytes) -> Any:
        return code, data

    return JsonPlusSerializer(__unpack_ext_hook__=hook)


def test_langgraphs_own_serialiser_is_wrapped() -> None:
    serde = JsonPlusSerializer()
    assert reusing(serde) == ReusingSerialiser(serde)


@pytest.mark.parametrize(
    "serde",
    [Derived(), with_replaced("dumps_typed"), with_replaced("loads_typed"), with_hook(), encrypting()],
    ids=lambda s: type(s).__name__,
)
def test_any_other_is_left_alone(serde: SerializerProtocol) -> None:
    assert reusing(serde) is serde


@pytest.mark.parametrize("value", [None, b"bytes", bytearray(b"more"), TALK, {"messages": TALK, "n": 1}, [object()], 2**70])
def test_types_bytes_and_refusals_are_the_serialisers(value: Any) -> None:
    def outcome(serde: SerializerProtocol) -> Any:
        try:
            return serde.dumps_typed(value)
        except Exception as exc:
            return type(exc), str(exc)

    assert outcome(reusing(JsonPlusSerializer())) == outcome(JsonPlusSerializer())


def test_damaged_data_fails_as_the_serialiser_does() -> None:
    plain = JsonPlusSerializer()
    type_, data = plain.dumps_typed(TALK)
    damaged = (type_, data[: len(data) // 2])
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        plain.loads_typed(damaged)
    with pytest.raises(type(theirs.value)) as ours:
        reusing(plain).loads_typed(damaged)
    assert str(ours.value) == str(theirs.value)


def test_other_types_are_read_by_the_serialiser() -> None:
    assert reusing(JsonPlusSerializer()).loads_typed(("json", b'{"a": 1}')) == {"a": 1}
