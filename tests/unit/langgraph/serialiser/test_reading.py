"""Messages that were read before are copied, and are what LangGraph reads."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from ckptstore.langgraph.serialiser.reusing import ReusingSerialiser, reusing
from tests.support.message_lists import SLOW, Counting, Mood, Opinionated, chat, message_lists, parts, shapes_of
from tests.support.serialisers import encrypting

PLAIN = JsonPlusSerializer(allowed_msgpack_modules=True)
STRICT = JsonPlusSerializer(allowed_msgpack_modules=None)
SOME = JsonPlusSerializer(allowed_msgpack_modules=[Mood])


def packed(value: Any) -> tuple[str, bytes] | None:
    try:
        return PLAIN.dumps_typed(value)
    except Exception:
        return None


def outcome(serde: SerializerProtocol, data: bytes) -> Any:
    try:
        return parts(serde.loads_typed(("msgpack", data)))
    except Exception as exc:
        return type(exc), str(exc)


@SLOW
@given(message_lists)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_what_is_read_is_what_langgraph_reads(elements: list[Any]) -> None:
    for value in shapes_of(elements):
        data = packed(value)
        # The allowlists take turns: what one of them lets through is no answer for another.
        for serde in (PLAIN, STRICT, SOME, PLAIN):
            assert data is None or parts(ReusingSerialiser(serde).loads_typed(data)) == parts(serde.loads_typed(data))


def spoil(value: Any) -> None:
    """Change everything that can be changed, at every depth."""
    if isinstance(value, dict):
        for item in value.values():
            spoil(item)
        value["spoilt"] = True
    elif isinstance(value, list):
        for item in value:
            spoil(item)
        value.append("spoilt")
    elif hasattr(value, "__pydantic_fields_set__"):
        spoil(value.__dict__)
        value.__pydantic_fields_set__.add("spoilt")
        spoil(value.__pydantic_extra__)


@SLOW
@given(message_lists)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_what_a_reader_changes_shows_to_no_other(elements: list[Any]) -> None:
    data = packed(elements)
    if data is None:
        return
    wanted = parts(PLAIN.loads_typed(data))
    for _ in range(2):
        read = ReusingSerialiser(PLAIN).loads_typed(data)
        assert parts(read) == wanted
        spoil(read)


def test_containers_that_share_a_part_continue_to_do_so() -> None:
    chunk: Any = {"type": "tool_call_chunk", "name": "look", "args": '{"a": [1]}', "id": "c", "index": 0}
    chunks = [
        AIMessageChunk(content=[], tool_call_chunks=[chunk], chunk_position="last", response_metadata={"output_version": "v1"}, id=str(n))
        for n in range(8)
    ]
    for message in chunks:
        message.content = [chunk]
    data = PLAIN.dumps_typed(chunks)
    for read in (PLAIN.loads_typed(data), REUSING.loads_typed(data), REUSING.loads_typed(data)):
        assert read[0].content[0]["args"] is read[0].tool_calls[0]["args"]


REUSING = ReusingSerialiser(PLAIN)


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: {"messages": m, "n": 1}, _DeltaSnapshot], ids=["list", "dict", "snapshot"])
def test_a_message_is_validated_once(wrap: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    validated: list[AnyMessage] = []
    data = PLAIN.dumps_typed(wrap([HumanMessage(f"{wrap!r} {n}") for n in range(100)]))
    original = HumanMessage.__init__

    def init(self: HumanMessage, *args: Any, **kwargs: Any) -> None:
        validated.append(self)
        original(self, *args, **kwargs)

    monkeypatch.setattr(HumanMessage, "__init__", init)
    for _ in range(3):
        REUSING.loads_typed(data)
    assert len(validated) == 100


def test_a_class_that_is_not_allowed_is_never_built() -> None:
    tools: list[Any] = [ToolMessage("found", tool_call_id=str(n), artifact=Mood.CALM) for n in range(5)]
    data = PLAIN.dumps_typed([*tools, *[Opinionated(content=str(n)) for n in range(5)], *chat(10)])
    for serde in (PLAIN, STRICT, SOME, PLAIN, SOME, STRICT):
        read = ReusingSerialiser(serde).loads_typed(data)
        assert isinstance(read[0].artifact, Mood) == (serde is not STRICT)
        assert isinstance(read[5], Opinionated) == (serde is PLAIN)


def test_a_class_under_another_name_is_held_to_the_allowlist() -> None:
    named = AIMessage.__module__.encode()
    data = PLAIN.dumps_typed(chat(10))[1]
    # "langchain_core.messages.ai" with its last part written otherwise: same length, another module.
    other = ("msgpack", data.replace(named, named[:-2] + b"xx"))
    for serde in (PLAIN, STRICT):
        assert parts(ReusingSerialiser(serde).loads_typed(other)) == parts(serde.loads_typed(other))


@pytest.mark.parametrize("cut", [1, 3, 50, -1, -20])
def test_damaged_data_is_read_as_langgraph_reads_it(cut: int) -> None:
    for value in (chat(10), {"messages": chat(10)}):
        data = PLAIN.dumps_typed(value)[1]
        for damaged in (data[:cut], data + b"\xc0", b"\xdc\xff\xff" + data[1:], data[:40] + b"\xc1" + data[41:]):
            assert outcome(REUSING, damaged) == outcome(PLAIN, damaged)


def test_other_serialisers_are_left_alone() -> None:
    hooked = JsonPlusSerializer(__unpack_ext_hook__=lambda code, data: code)
    patched = JsonPlusSerializer()
    patched.loads_typed = lambda data: None  # type: ignore[method-assign]
    for serde in (hooked, patched, Counting(), encrypting()):
        assert reusing(serde) is serde
    for serde in (PLAIN, STRICT, SOME, copy.copy(PLAIN)):
        assert reusing(serde) == ReusingSerialiser(serde)
