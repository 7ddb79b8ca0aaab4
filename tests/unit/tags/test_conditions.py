"""Conditions on the tag index."""

from __future__ import annotations

import pytest

from ckptstore.tags.conditions import GREATEST_TEXT, ValueRange, keys_below


@pytest.mark.parametrize(
    ("key", "is_below"),
    [("user", False), ("user/name", True), ("user/", True), ("user/\U0010fffe", True), ("user0", False), ("users", False), ("use", False)],
)
def test_the_keys_below_a_key_are_a_range(key: str, is_below: bool) -> None:
    first, after = keys_below("user")
    assert (first <= key < after) is is_below


def test_a_range_without_bounds_holds_every_value() -> None:
    span = ValueRange("key")
    assert all(span.low <= value < span.high for value in ("", "n1", "z" * 10, "\U0010fffe"))
    assert span.high == GREATEST_TEXT
    assert not span.include_nested
