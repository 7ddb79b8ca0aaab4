"""Bytes are reused for messages that did not change, and for no others."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import ormsgpack
import pytest
from hypothesis import given
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from ckptstore.langgraph.serialiser.reusing import ReusingSerialiser
from tests.support.message_lists import MOODS, SLOW, Counting, Opinionated, Text, chat, message_lists, shapes_of

PLAIN = JsonPlusSerializer()
REUSING = ReusingSerialiser(PLAIN)
FALLING_BACK = JsonPlusSerializer(pickle_fallback=True)


def outcome(dump: Callable[[Any], tuple[str, bytes]], value: Any) -> Any:
    try:
        return dump(value)
    except Exception as exc:
        return type(exc), str(exc)


@SLOW
@given(message_lists)
def test_the_bytes_are_langgraphs(elements: list[Any]) -> None:
    for value in shapes_of(elements):
        wanted = outcome(PLAIN.dumps_typed, value)
        assert outcome(REUSING.dumps_typed, value) == wanted
        assert outcome(REUSING.dumps_typed, value) == wanted
        assert outcome(ReusingSerialiser(FALLING_BACK).dumps_typed, value) == outcome(FALLING_BACK.dumps_typed, value)


@SLOW
@given(message_lists)
def test_a_copy_is_written_as_it_is(elements: list[Any]) -> None:
    outcome(REUSING.dumps_typed, elements)
    copied = copy.deepcopy(elements)
    assert outcome(REUSING.dumps_typed, copied) == outcome(PLAIN.dumps_typed, copied)


def change(name: str, value: Any) -> Callable[[AIMessage], None]:
    return lambda message: object.__setattr__(message, name, value)


CHANGES: dict[str, Callable[[AIMessage], Any]] = {
    "a field": change("content", "other"),
    "its type": change("id", Text("a3")),
    "a container": lambda m: m.additional_kwargs.update(a=1),
    "deep within": lambda m: m.tool_calls[0]["args"]["deep"][1].update(x=2),
    "true for one": lambda m: m.tool_calls[0]["args"]["deep"][1].update(x=True),
    "a float for one": lambda m: m.tool_calls[0]["args"]["deep"][1].update(x=1.0),
    "an order of keys": lambda m: m.tool_calls.insert(0, dict(reversed(m.tool_calls.pop().items()))),  # type: ignore[arg-type]
    "a tuple for a list": lambda m: m.tool_calls[0]["args"].update(deep=tuple(m.tool_calls[0]["args"]["deep"])),
    "an extra field": lambda m: m.__pydantic_extra__.update(hint=1),  # type: ignore[union-attr]
    "an attribute without a field": lambda m: m.__dict__.update(hint=1),
    "its class": change("__class__", HumanMessage),
    "an object": lambda m: m.additional_kwargs.update(a={1, 2}),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_a_change_at_any_depth_is_written(name: str) -> None:
    messages = chat(12)
    REUSING.dumps_typed(messages)
    REUSING.dumps_typed(messages)
    answer = messages[3]
    assert isinstance(answer, AIMessage)
    CHANGES[name](answer)
    assert REUSING.dumps_typed(messages) == PLAIN.dumps_typed(messages)


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"x", bytearray(b"x")), (b"x", memoryview(b"x")), (0.0, -0.0), (1, True), ({8, 16}, {16, 8}), ("x", Text("x")), ([1], (1,))],
    ids=["bytearray", "view", "negative zero", "true", "order of a set", "text", "tuple"],
)
def test_what_marshal_or_python_calls_equal_is_not_taken_for_the_same(before: Any, after: Any) -> None:
    messages: list[Any] = [*chat(10), ToolMessage("found", tool_call_id="c", artifact=before)]
    REUSING.dumps_typed(messages)
    messages[-1].artifact = after
    assert REUSING.dumps_typed(messages) == PLAIN.dumps_typed(messages)


def test_an_array_in_the_place_of_its_bytes_is_written() -> None:
    np = pytest.importorskip("numpy")
    messages: list[Any] = [*chat(10), ToolMessage("found", tool_call_id="c", artifact=b"\x01\x02")]
    REUSING.dumps_typed(messages)
    messages[-1].artifact = np.array([1, 2], dtype="u1")
    assert REUSING.dumps_typed(messages) == PLAIN.dumps_typed(messages)


def test_a_subclass_is_asked_each_time() -> None:
    messages: list[Any] = [*chat(10), Opinionated(content="hm")]
    messages = [messages[-1], *messages]
    messages.append(messages[1])
    REUSING.dumps_typed(messages)
    MOODS.append("wild")
    assert REUSING.dumps_typed(messages) == PLAIN.dumps_typed(messages)


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: {"messages": m, "n": 1}, _DeltaSnapshot], ids=["list", "dict", "snapshot"])
def test_only_what_is_new_is_serialised(wrap: Callable[[Any], Any]) -> None:
    counting = Counting()
    reusing = ReusingSerialiser(counting)
    messages = [HumanMessage(f"{wrap!r} {n}") for n in range(100)]
    reusing.dumps_typed(wrap(messages))
    first = counting.dumps
    reusing.dumps_typed(wrap(copy.deepcopy(messages)))
    again = counting.dumps - first
    reusing.dumps_typed(wrap([*messages, HumanMessage(f"{wrap!r} new")]))
    assert (first >= 100, again <= 2, counting.dumps - first - again) == (True, True, again + 1)


def test_a_value_that_is_nested_too_deep_is_refused_as_before() -> None:
    deep: Any = []
    refused = 0
    for _ in range(1_030):
        deep = [deep]
        for value in ([*chat(10), deep, *chat(1)], {"messages": [*chat(10), deep, *chat(1)]}):
            wanted = outcome(PLAIN.dumps_typed, value)
            refused += wanted[0] != "msgpack"
            assert outcome(REUSING.dumps_typed, value) == wanted
    assert 0 < refused < 2 * 1_030


def test_a_value_that_cannot_be_serialised_raises_what_langgraph_raises() -> None:
    with pytest.raises(ormsgpack.MsgpackEncodeError):
        REUSING.dumps_typed([*chat(10), ToolMessage("", tool_call_id="c", artifact=object())])
