"""Scalars of every kind are found by what they are, as Python compares them; containers too, at any depth and under any key."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckptstore.errors import InvalidFilter
from ckptstore.tags.encoding import postings
from ckptstore.tags.filter_input import MAX_CONDITIONS, MAX_NESTING, MAX_VALUES
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
def test_a_filter_means_what_the_model_says(metadata: dict[str, Any], data: st.DataObject) -> None:
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


# --- limits: filters come from users --------------------------------------------------------------------------------------


def nested_deep(levels: int, innermost: Any = 1) -> Any:
    return innermost if levels == 0 else {"a": nested_deep(levels - 1, innermost)}


def test_a_filter_of_the_largest_size_is_accepted() -> None:
    Filter.parse({f"k{n}": n for n in range(MAX_CONDITIONS)})
    Filter.parse({"k": {"$in": list(range(MAX_VALUES))}})
    Filter.parse(nested_deep(MAX_NESTING))


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "wrong",
    [
        {f"k{n}": n for n in range(MAX_CONDITIONS + 1)},
        {"k": list(range(MAX_CONDITIONS + 1))},
        {"k": [{}] * (MAX_CONDITIONS + 1)},
        {f"k{n}": {"$gte": 1, "$lt": 2} for n in range(MAX_CONDITIONS // 2 + 1)},
        {"k": {"$in": list(range(MAX_VALUES + 1))}},
        nested_deep(MAX_NESTING + 1),
        nested_deep(100_000 // 200),
        {"k": {"$ne": nested_deep(MAX_NESTING)}},
        {"k": CYCLE},
        {"k": {"$eq": {"$eq": {"$near": 1}}}},
        {"k": {"$in": [[1]]}},
        {"k": {"$in": [float("inf")]}},
        {"k": {"$gt": None}},
        {"k": {"$gt": 2**1024}},
        {"k": {"$ne": {"a": {"$bad": 1}}}},
        {"k": {(1, 2): 3}},
        {"k": b"bytes"},
        {10**5000: 1},
        {"k": {"$gt": 1, 10**5000: 2}},
        {"$or": [{"a": 1}]},
        {"$": 1},
    ],
    ids=range(21),
)
def test_a_filter_beyond_a_limit_or_without_a_meaning_is_refused_at_once(wrong: Any) -> None:
    with pytest.raises(InvalidFilter):
        Filter.parse(wrong)


def test_a_long_key_is_not_repeated_in_a_message() -> None:
    with pytest.raises(InvalidFilter) as caught:
        Filter.parse({"k" * 100_000: {"$gt": None}})
    assert len(str(caught.value)) < 300
