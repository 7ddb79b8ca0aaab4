"""The exact test of a filter agrees with the model, and the index finds no less."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from ckptstore import SQLAlchemySaver
from ckptstore.errors import (
    InvalidFilter,
)
from ckptstore.records import Posting
from ckptstore.tags.conditions import ValueRange
from ckptstore.tags.encoding import postings
from ckptstore.tags.filters import Filter
from tests.support.filter_model import FILTERS, METADATA, model


def within(span: ValueRange, posting: Posting) -> bool:
    inside = posting.key == span.key and span.low <= posting.value < span.high
    return inside or (span.include_nested and posting.key.startswith(f"{span.key}/"))


def conditions_hold(parsed: Filter, found: frozenset[Posting]) -> bool:
    """What the index can say, without an index."""
    return (
        all(any(Posting(one.key, value) in found for value in one.values) for one in parsed.required)
        and all(any(within(span, posting) for posting in found) for span in parsed.ranges)
        and not any(posting in found for posting in parsed.forbidden)
    )


@given(METADATA, FILTERS)
@settings(max_examples=500)
def test_the_exact_test_agrees_with_the_model_and_the_index_finds_no_less(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    parsed = Filter.parse(wanted)
    expected = all(model(found.get(key, ...), value) for key, value in wanted.items())
    assert parsed.matches(found) == expected
    if expected:
        assert conditions_hold(parsed, postings(found))
    if parsed.exact:
        assert conditions_hold(parsed, postings(found)) == expected


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"a": {"$near": 1}}, "'a'.*'\\$near'"),
        ({"a": {"$gt": 1, "b": 2}}, "'a'.*'b'"),
        ({"a": {"$in": "text"}}, "'a'.*\\$in"),
        ({"a": {"$exists": 1}}, "'a'.*\\$exists"),
        ({"a": {"$gt": [1]}}, "'a'.*\\$gt"),
        ({"a": object()}, "'a'"),
        ({"a": {"b": {1, 2}}}, "'a'"),
        ({"a": float("nan")}, "'a'"),
        ({1: "a"}, "key of type int"),
        ({"$or": [{"a": 1}]}, r"'\$or'.*AND"),
        ({"a": {"$ne": {"b": {"$bad": 1}}}}, r"'a'.*'\$bad'"),
        ({"a": {"$eq": [{"b": {1, 2}}]}}, "'a'.*set"),
        (["a"], "a dict"),
    ],
)
def test_a_filter_that_has_no_meaning_names_its_key(wrong: Any, key: str) -> None:
    with SQLAlchemySaver.from_conn_string(":memory:") as saver, pytest.raises(InvalidFilter, match=key):
        saver.alist(None, filter=wrong)
