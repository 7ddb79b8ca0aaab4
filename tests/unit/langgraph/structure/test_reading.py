"""Bytes of LangGraph's serialiser as structures, without building what they name."""

from __future__ import annotations

import importlib
import json
import math
import os
import pickle
import sys
from typing import Any

import msgpack
import ormsgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.serde import jsonplus
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Command, Interrupt, Send
from pydantic import BaseModel, SecretStr

from ckptstore.langgraph.structure.as_json import as_json
from ckptstore.langgraph.structure.nodes import NotShown, Pairs, Structure, Typed
from ckptstore.langgraph.structure.reading import decrypting, structure_of
from ckptstore.records import Value
from tests.support.serialisers import encrypting
from tests.support.value_kinds import KINDS
from tests.support.values import SERDE

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(max_size=40)
KEYS = st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.tuples(st.integers(0, 3), st.text(max_size=3))
PLAIN = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.text() | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def read(value: Any) -> Structure:
    return structure_of(Value(*SERDE.dumps_typed(value)))


@settings(max_examples=150, deadline=None)
@given(PLAIN)
@example({"a": {(1, "x"): [1, 1.0, True]}, 2: {}})
def test_a_plain_value_is_what_langgraph_reads(value: Any) -> None:
    type_, data = SERDE.dumps_typed(value)
    # By `repr`: not a number is not equal to itself, and 1 equals True.
    assert repr(structure_of(Value(type_, data))) == repr(SERDE.loads_typed((type_, data)))


@settings(max_examples=25, deadline=None)
@given(JSON)
def test_plain_json_is_what_langgraph_reads(value: Any) -> None:
    data = json.dumps(value).encode()
    assert structure_of(Value("json", data)) == SERDE.loads_typed(("json", data))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "plain"])
def test_every_kind_of_value_has_a_structure(kind: str) -> None:
    for name, value in KINDS[kind].items():
        found = read(value)
        assert "$not_shown" not in json.dumps(as_json(found), allow_nan=False), name


class Account(BaseModel):
    name: str
    password: SecretStr


def test_objects_are_their_classes_and_their_fields() -> None:
    assert read([Send("node", {"x": 1}), Interrupt(value={"ask": 1}, id="i")]) == [
        Typed("langgraph.types.Send", ["node", {"x": 1}], "arguments"),
        Typed("langgraph.types.Interrupt", {"value": {"ask": 1}, "id": "i", "response_schema": None}, "fields"),
    ]
    command = read(Command(goto="next"))
    assert isinstance(command, Typed)
    assert (command.name, command.fields["goto"]) == ("Command", "next")


def test_a_secret_stays_one() -> None:
    found = read([Account(name="ann", password=SecretStr("hunter2")), SecretStr("hunter2")])
    assert "hunter2" not in repr(found)
    assert found[0].fields["name"] == "ann"


@pytest.mark.parametrize(
    ("type_", "said"),
    [
        ("pickle", "to read it is to run what is in it"),
        ("msgpack+aes", "give the serialiser with its key"),
        ("toml", "stored as 'toml', a format of another serialiser"),
    ],
)
def test_what_can_not_be_shown_says_why(type_: str, said: str) -> None:
    found = structure_of(Value(type_, pickle.dumps(1)))
    assert isinstance(found, NotShown)
    assert said in found.reason


def test_an_encrypted_value_is_read_with_its_key_and_only_with_it() -> None:
    decrypt = decrypting(encrypting())
    type_, data = encrypting().dumps_typed({"x": [1, Send("a", 1)]})
    assert structure_of(Value(type_, data), decrypt) == {"x": [1, Typed("langgraph.types.Send", ["a", 1], "arguments")]}
    altered = structure_of(Value(type_, data[:-1] + bytes([data[-1] ^ 1])), decrypt)
    assert isinstance(altered, NotShown)
    assert "not with the key of --serde" in altered.reason
    assert decrypting(JsonPlusSerializer()) is None


def extension(code: int, content: Any) -> bytes:
    return bytes(ormsgpack.packb(ormsgpack.Ext(code, ormsgpack.packb(content, option=ormsgpack.OPT_NON_STR_KEYS))))


def nested(levels: int) -> bytes:
    data = b"\x01"
    for _ in range(levels):
        data = msgpack.packb(msgpack.ExtType(7, data))
    return data


HOSTILE = {
    "a call": extension(0, ["os", "system", "touch hacked"]),
    "a method": extension(3, ["builtins", "eval", "1/0", "__call__"]),
    "a model": extension(5, ["antigravity", "fly", {"x": 1}, "model_validate"]),
    "no list": extension(0, "os"),
    "too short": extension(0, ["os", "system"]),
    "names that are no texts": extension(0, [1, 2, 3]),
    "an unknown code": extension(99, ["os", "system", 1]),
    "a time of MessagePack": msgpack.packb(msgpack.Timestamp(1, 2)),
    "an array that is none": extension(6, [1, 2]),
    "garbage in an object": msgpack.packb(msgpack.ExtType(0, b"\xc1\xff")),
    "garbage": b"\xc1\xff\x00",
    "nothing": b"",
    "two values": b"\x01\x02",
    "a length that lies": b"\xdd\xff\xff\xff\xff",
    "a text that is no text": b"\xa2\xff\xfe",
    "deep lists": b"\x91" * 2_000 + b"\x01",
    "deep objects": nested(100),
    "an object as a key": b"\x81" + extension(0, ["a", "b", [1]]) + b"\x01",
    "json that calls": b'{"lc": 2, "type": "constructor", "id": ["antigravity", "fly"], "args": [1], "kwargs": {"x": 2}}',
    "json that is a secret": b'{"lc": 1, "type": "secret", "id": ["OPENAI_KEY"]}',
    "deep json": b"[" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_read_without_importing_or_calling(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reached: list[Any] = []
    monkeypatch.setattr(importlib, "import_module", reached.append)
    monkeypatch.setattr(os, "system", reached.append)
    before = set(sys.modules)
    found = structure_of(Value("json" if "json" in name else "msgpack", HOSTILE[name]))
    json.dumps(as_json(found), allow_nan=False)
    assert (reached, set(sys.modules) - before) == ([], set())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["msgpack", "json", "null", "bytes"]))
def test_any_bytes_have_a_structure(data: bytes, type_: str) -> None:
    json.dumps(as_json(structure_of(Value(type_, data))), allow_nan=False)


def test_copies_of_nested_objects_are_bounded() -> None:
    data = bytes(100_000)
    for _ in range(20):
        data = msgpack.packb(msgpack.ExtType(7, msgpack.packb(data) if isinstance(data, bytes) and len(data) == 100_000 else data))
    assert "objects nested too deep in each other" in repr(structure_of(Value("msgpack", data)))


def test_a_damaged_part_leaves_the_others() -> None:
    found = structure_of(Value("msgpack", b"\x92\x01" + HOSTILE["garbage in an object"]))
    assert (found[0], type(found[1])) == (1, NotShown)


def test_keys_that_can_not_be_hashed_are_pairs() -> None:
    found = structure_of(Value("msgpack", HOSTILE["an object as a key"]))
    assert found == Pairs(((Typed("a.b", [1], "value"), 1),))


def test_numbers_keep_their_types() -> None:
    found = read([1, 1.0, True, math.inf])
    assert list(map(type, found)) == [int, float, bool, float]


def test_the_older_json_has_objects() -> None:
    text = '{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": "hi"}}'
    assert structure_of(Value("json", text.encode())) == Typed("langchain.schema.messages.HumanMessage", {"content": "hi"}, "fields")
    text = '{"lc": 1, "type": "not_implemented", "id": ["a", "B"], "repr": "B()"}'
    assert structure_of(Value("json", text.encode())) == Typed("a.B", "B()", "value")
    other = {"lc": 1, "type": "other", "id": ["a"]}
    assert structure_of(Value("json", json.dumps(other).encode())) == other


@pytest.mark.parametrize(
    "value",
    [
        Value("json", b'{"password": "s3cret"'),
        Value("json", b'{"password": "s3cret\xff"}'),
        Value("msgpack", msgpack.packb({"password": "s3cret"}) + b"s3cret"),
        Value("msgpack", msgpack.packb({"password": "s3cret"})[:-1]),
        Value("msgpack", msgpack.packb({"key": msgpack.ExtType(jsonplus.EXT_CONSTRUCTOR_KW_ARGS, b"\xa9s3cret")})),
        Value("msgpack", msgpack.packb({"key": msgpack.ExtType(99, msgpack.packb("s3cret"))})),
        Value("pickle", b"s3cret"),
    ],
)
def test_why_bytes_can_not_be_read_has_nothing_of_them(value: Value) -> None:
    # No key of a damaged value is known, by which it could be hidden.
    found = structure_of(value)
    assert "not_shown" in str(as_json(found))
    assert "s3cret" not in repr(found)
