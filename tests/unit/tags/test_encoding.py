"""Metadata as tags: numbers sort as numbers, and everything is JSON."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ckptstore.tags.encoding import encode_value as _encoded


@given(st.lists(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.integers(2**52, 2**70)), min_size=2))
def test_encoded_numbers_sort_as_numbers(numbers: list[Any]) -> None:
    for one in numbers:
        for other in numbers:
            assert (_encoded(one) < _encoded(other)) == (one < other)
            assert (_encoded(one) == _encoded(other)) == (one == other)
