"""Metadata as JSON that every database takes."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given

from ckptstore.errors import SerializationFailed
from ckptstore.tags.metadata_json import encode_metadata
from tests.support.filter_model import METADATA


@given(METADATA)
def test_metadata_is_json_that_every_database_takes(metadata: dict[str, Any]) -> None:
    text, values = encode_metadata({**metadata, "n": "\0", "deep": [{"\0": "\0"}]})
    assert "\\u0000" not in text
    assert json.loads(text) == values


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_word_for_is_null(value: float) -> None:
    assert encode_metadata({"a": [value]}).text == '{"a":[null]}'


@pytest.mark.parametrize("number", [2**1024, -(10**400), 10**5000], ids=["2**1024", "-10**400", "10**5000"])
def test_a_number_that_is_too_large_for_json_names_its_key(number: int) -> None:
    with pytest.raises(SerializationFailed, match=r"metadata\['n'\] contains a whole number of more than 1024 bits"):
        encode_metadata({"n": number})
    assert encode_metadata({"n": 2**1023}).values == {"n": 2**1023}
