"""The exact test of one value against what a filter wants."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore.tags.matching import ABSENT, is_operators, matches


@pytest.mark.parametrize(
    ("found", "wanted", "is_match"),
    [
        (1, 1.0, True),
        (1, True, False),
        (True, 1, False),
        (ABSENT, None, False),
        (None, None, True),
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ("text", {"a": 1}, False),
        ([1, 2, 3], [3, 1], True),
        ([1, 2], [4], False),
        ("abc", ["abc"], False),
        (5, {"$gt": 4, "$lte": 5}, True),
        ("5", {"$gt": 4}, False),
        (True, {"$gte": 0}, False),
        (ABSENT, {"$lt": 5}, False),
        (ABSENT, {"$ne": 5}, True),
        (ABSENT, {"$exists": False}, True),
        (None, {"$exists": True}, True),
        (2, {"$in": [1, 2]}, True),
        (True, {"$in": [1, 2]}, False),
        ({"a": {"b": 5}}, {"a": {"b": {"$gte": 5}}}, True),
    ],
)
def test_a_value_matches(found: Any, wanted: Any, is_match: bool) -> None:
    assert matches(found, wanted) is is_match


def test_operators_are_distinguished_from_keys() -> None:
    assert is_operators({"$eq": 1})
    assert not is_operators({"eq": 1})
    assert not is_operators({})
