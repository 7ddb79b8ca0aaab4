"""Which keys are indexed, by pattern."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ckptstore import TagKeys
from ckptstore.errors import InvalidConfig
from ckptstore.tags.encoding import postings

PATTERNS = [
    ({}, {"a": 1, "b": {"c": 2}}, {"a", "b/c"}),
    ({"include": ("a",)}, {"a": 1, "b": 2, "aa": 3}, {"a"}),
    ({"include": ("a*",)}, {"a": 1, "b": 2, "aa": {"x": 3}}, {"a", "aa/x"}),
    ({"exclude": ("a",)}, {"a": {"deep": [1]}, "b": 2}, {"b"}),
    ({"include": ("user/name",)}, {"user": {"name": "x", "age": 3}, "name": "y"}, {"user/name"}),
    ({"exclude": ("user/email",)}, {"user": {"name": "x", "email": {"home": "y"}}}, {"user/name"}),
    ({"exclude": ("a.b",)}, {"a.b": 1, "a": {"b": 2}}, {"a/b"}),
    ({"exclude": ("odd/key~",)}, {"odd/key~": 1, "odd": 2}, {"odd"}),
    ({"include": ("list",)}, {"list": [1, {"x": [2]}], "no": [3]}, {"list/~2", "list/~2/x/~2"}),
    ({"include": ("*",), "exclude": ("*",)}, {"a": 1}, set()),
    ({"include": ()}, {"a": 1}, set()),
]


@pytest.mark.parametrize(("given", "found", "expected"), PATTERNS, ids=lambda value: json.dumps(value, default=sorted))
def test_patterns_choose_the_keys(given: dict[str, Any], found: dict[str, Any], expected: set[str]) -> None:
    assert {posting.key for posting in postings(found, TagKeys(**given))} == expected


@pytest.mark.parametrize("wrong", [{"include": "a"}, {"exclude": [1]}, {"credentials": None}, {"include": ("",)}], ids=str)
def test_what_is_no_sequence_of_texts_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match=f"tag_keys.{next(iter(wrong))}"):
        TagKeys(**wrong)


@pytest.mark.parametrize("wrong", [None, 5, {"a"}, "a", b"a", ["a", None], [""], ("a", 1), {"a": 1}], ids=repr)
@pytest.mark.parametrize("name", ["include", "exclude", "credentials"])
def test_patterns_and_words_are_sequences_of_texts(name: str, wrong: Any) -> None:
    with pytest.raises(InvalidConfig, match=rf"tag_keys\.{name} must be a sequence of texts"):
        TagKeys(**{name: wrong})


@pytest.mark.parametrize(
    ("pattern", "found"), [("k" * 220, {"k" * 220: "s3cret"}), ("*/secret", {"k" * 205: {"secret": "s3cret"}})], ids=len
)
def test_a_long_path_is_kept_out_as_a_short_one(pattern: str, found: dict[str, Any]) -> None:
    assert postings(found, TagKeys(exclude=(pattern,))) == frozenset()
