"""A checkpoint that is taken apart and put together reads as before, and no object is built meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore.errors import CheckpointCorrupt
from ckptstore.langgraph.imports.forms import FORMS
from tests.support.value_kinds import KINDS

SERDE = JsonPlusSerializer(pickle_fallback=False)


@pytest.mark.parametrize("value", KINDS.values(), ids=KINDS)
def test_a_part_reads_as_within_the_whole(value: Any) -> None:
    type_, data = SERDE.dumps_typed({"a": value, "b": 1})
    form = FORMS[type_]
    parts = form.split(data)
    whole = SERDE.loads_typed((type_, data))
    read = SERDE.loads_typed(form.value(parts["a"]))
    assert type(read) is type(whole["a"])
    assert SERDE.dumps_typed(read) == SERDE.dumps_typed(whole["a"])
    joined = SERDE.loads_typed((type_, form.join(parts)))
    assert SERDE.dumps_typed(joined) == SERDE.dumps_typed(whole)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("count", [0, 15, 16, 70_000])
def test_dicts_of_every_size(form: Any, count: int) -> None:
    whole = {str(number): number for number in range(count)}
    parts = {name: form.part(number) for name, number in whole.items()}
    assert form.plain(form.mapping(parts)) == whole
    assert SERDE.loads_typed((form.type, form.join(parts))) == whole
    assert form.inner(form.mapping(parts)) == parts
    assert form.plain(form.pair(form.part("a"), form.part(None))) == ["a", None]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_scalars_are_told_from_others(form: Any) -> None:
    for scalar in (None, True, False, 0, -1, 127, 2**32, -(2**63), 1.5, "", "text", "x" * 200):
        assert form.may_be_scalar(form.part(scalar)), scalar
        assert form.plain(form.part(scalar)) == scalar
    for other in ([], {}, [1], {"a": 1}):
        assert not form.may_be_scalar(form.part(other)), other


def test_bytes_are_as_the_serialiser_has_them() -> None:
    form = FORMS["msgpack"]
    for size in (0, 10, 300, 70_000):
        assert form.value(form.part(bytes(size))) == SERDE.dumps_typed(bytes(size))


DAMAGED = [("msgpack", b"\x93"), ("msgpack", b""), ("msgpack", b"\x81\xa1a"), ("json", b"[1]"), ("json", b"{")]


@pytest.mark.parametrize(("type_", "data"), DAMAGED)
def test_damage_is_noticed(type_: str, data: bytes) -> None:
    with pytest.raises(CheckpointCorrupt):
        FORMS[type_].split(data)


def test_json_of_2024_is_revived_by_the_serialiser() -> None:
    message = {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": "hi"}}
    form = FORMS["json"]
    (part,) = form.split(json.dumps({"messages": [message]}).encode()).values()
    assert SERDE.loads_typed(form.value(part))[0].content == "hi"
