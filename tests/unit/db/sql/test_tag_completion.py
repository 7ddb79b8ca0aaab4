"""Statements that walk the tag index."""

from __future__ import annotations

from ckptstore.db.sql import tag_completion
from tests.support.statements import OF_VALUES, compiled


def test_keys_are_found_one_after_the_other(kind: str) -> None:
    found = compiled(kind, tag_completion.keys_from(kind))
    assert "WITH RECURSIVE" in found.text
    assert "min(" in found.text
    assert "DISTINCT" not in found.text
    assert found.parameters >= {"first", "last", "page_size"}
    assert found.tables == {"ckpt_tag_posting", *OF_VALUES[kind]}


def test_values_are_those_of_a_key(kind: str) -> None:
    assert compiled(kind, tag_completion.values_from(kind)).parameters >= {"key", "first", "last", "page_size"}
