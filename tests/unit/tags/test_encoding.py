"""Metadata as tags: numbers sort as numbers, and everything is JSON."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptstore.tags.encoding import MAX_TEXT_LENGTH, Scalar, decode_value, is_abbreviated, nested_at, path_of, postings, shown_path
from ckptstore.tags.encoding import encode_value as _encoded


@given(st.lists(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.integers(2**52, 2**70)), min_size=2))
def test_encoded_numbers_sort_as_numbers(numbers: list[Any]) -> None:
    for one in numbers:
        for other in numbers:
            assert (_encoded(one) < _encoded(other)) == (one < other)
            assert (_encoded(one) == _encoded(other)) == (one == other)


@given(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=MAX_TEXT_LENGTH).filter(str.isprintable))
def test_values_are_decoded_as_they_were(value: Scalar) -> None:
    found = decode_value(_encoded(value))
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)
    # An index has no difference between 3 and 3.0.
    assert isinstance(found, int) or not (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))


@pytest.mark.parametrize("text", ["e", "", "x", "0x", "b2", "b"])
def test_other_values_are_no_scalars(text: str) -> None:
    with pytest.raises(ValueError, match="begins no scalar"):
        decode_value(text)


KEYS = st.text(st.characters(codec="utf-8", exclude_characters="[]\0"), max_size=5)


@given(
    st.recursive(
        st.booleans(), lambda inner: st.lists(inner, min_size=1, max_size=1) | st.dictionaries(KEYS, inner, min_size=1, max_size=1)
    ),
    KEYS,
)
def test_metadata_with_one_value_is_made_of_its_posting(value: object, key: str) -> None:
    metadata = {key: value}
    (posting,) = postings(metadata)
    if not is_abbreviated(posting.key):
        assert nested_at(path_of(shown_path(posting.key)), decode_value(posting.value)) == metadata
