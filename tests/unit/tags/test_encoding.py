"""Metadata as tags: numbers sort as numbers, and everything is JSON."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptstore.errors import SerializationFailed
from ckptstore.tags.encoding import encode_value as _encoded
from ckptstore.tags.encoding import to_json
from tests.support.filter_model import METADATA


@given(st.lists(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.integers(2**52, 2**70)), min_size=2))
def test_encoded_numbers_sort_as_numbers(numbers: list[Any]) -> None:
    for one in numbers:
        for other in numbers:
            assert (_encoded(one) < _encoded(other)) == (one < other)
            assert (_encoded(one) == _encoded(other)) == (one == other)


@given(METADATA)
def test_metadata_is_json_that_every_database_takes(metadata: dict[str, Any]) -> None:
    assert "\\u0000" not in to_json({**metadata, "n": "\0", "deep": [{"\0": "\0"}]})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_word_for_is_null(value: float) -> None:
    assert to_json({"a": [value]}) == '{"a":[null]}'


def test_a_number_that_json_can_not_write_is_said() -> None:
    with pytest.raises(SerializationFailed, match="number"):
        to_json({"n": 10**5000})
