"""Scalars of every kind are found by what they are, as Python compares them; containers too, at any depth and under any key."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckptstore.errors import InvalidFilter
from ckptstore.tags.encoding import postings
from ckptstore.tags.filters import Filter
from ckptstore.tags.metadata_json import encode_metadata
from tests.support.filter_model import model
from tests.support.scalars import NO_NUMBERS, NUMBERS, SCALARS, TEXTS, Colour, Count, Level, Name, Stage, plain
from tests.unit.tags.test_filters import conditions_hold

KEYS = TEXTS.filter(lambda key: not key.startswith("$"))


def nested_in(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    containers = lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=2))  # noqa: E731
    return st.recursive(scalars, containers, max_leaves=5)


WANTED = nested_in(SCALARS)
OPERATORS = st.one_of(
    st.builds(lambda name, value: {name: value}, st.sampled_from(["$eq", "$ne"]), WANTED),
    st.builds(lambda name, value: {name: value}, st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), st.one_of(NUMBERS, TEXTS)),
    st.builds(lambda values: {"$in": values}, st.lists(SCALARS, max_size=4)),
    st.builds(lambda value: {"$exists": value}, st.booleans()),
)


@settings(max_examples=1_500, deadline=None)
@given(st.dictionaries(KEYS, nested_in(st.one_of(SCALARS, NO_NUMBERS)), max_size=3), st.data())
def test_a_filter_means_what_the_model_does(metadata: dict[str, Any], data: st.DataObject) -> None:
    found = encode_metadata(metadata).values
    assert found == plain(metadata)
    key = data.draw(st.one_of(st.sampled_from([*metadata, "absent"]), KEYS))
    # What was put is asked for too, and not only what is there by chance.
    wanted = {key: data.draw(st.one_of(WANTED, OPERATORS, *([st.just(metadata[key])] if key in metadata else [])))}
    try:
        parsed = Filter.parse(wanted)
    except InvalidFilter as exc:
        assert "not a number that metadata can hold" in str(exc)  # noqa: PT017
        return
    expected = all(model(found.get(name, ...), value) for name, value in plain(wanted).items())
    assert parsed.matches(found) == expected
    held = conditions_hold(parsed, postings(found))
    assert held or not expected
    assert held == expected or not parsed.exact


@pytest.mark.parametrize("value", [Stage.DRAFT, Colour.RED, Level.LOW, Level.HIGH, Name("a"), Count(2**64)], ids=repr)
def test_a_member_of_an_enumeration_is_its_value(value: Any) -> None:
    found = postings(encode_metadata({"k": value, "list": [value]}).values)
    assert found == postings({"k": plain(value), "list": [plain(value)]})
    for shape in (value, {"$eq": value}, {"$in": [value]}, {"$gte": value, "$lte": value}):
        assert Filter.parse({"k": shape}).required == Filter.parse({"k": plain(shape)}).required
        assert conditions_hold(Filter.parse({"k": shape}), found)
    assert not conditions_hold(Filter.parse({"k": {"$ne": value}}), found)


@pytest.mark.parametrize("length", range(197, 204))
@pytest.mark.parametrize("wanted", [{}, {"$exists": True}, {"a": {}}, {"a": {"$exists": True}}], ids=str)
def test_what_is_nested_below_a_long_key_is_found(length: int, wanted: Any) -> None:
    key = "x" * length
    values: list[Any] = [{"a": {"b": 1}}, {"a": {}}]
    for value in values:
        parsed = Filter.parse({key: wanted})
        assert parsed.matches({key: value})
        assert conditions_hold(parsed, postings({key: value}))
