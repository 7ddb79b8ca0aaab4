"""Statements on the objects whose content is in the database."""

from __future__ import annotations

from ckptstore.db.sql.content import content, is_outside, put_content
from tests.support.statements import compiled


def test_an_object_past_its_bound_is_not_sent(kind: str) -> None:
    found = compiled(kind, content(kind))
    assert "CASE WHEN" in found.text
    assert found.parameters == {"key", "max_bytes"}
    assert "DO UPDATE SET content = excluded.content" in compiled(kind, put_content(kind)).text


def test_the_range_of_keys_outside_leaves_out_the_folder_of_those_inside() -> None:
    text = str(is_outside().compile())
    assert "key < 'database/'" in text
    assert "key >= 'database0'" in text
    assert "database/" < "database/ab" < "database0"
