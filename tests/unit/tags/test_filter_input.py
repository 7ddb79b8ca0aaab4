"""Filters beyond a limit, or without a meaning, are refused with the name of their key."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore.errors import InvalidFilter
from ckptstore.tags.filter_input import MAX_CONDITIONS, MAX_NESTING, MAX_VALUES
from ckptstore.tags.filters import Filter


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
