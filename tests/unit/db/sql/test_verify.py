"""Statements of a verification."""

from __future__ import annotations

import pytest
from sqlalchemy import Table

from ckptstore.db.sql import verify
from ckptstore.db.sql.tables import CHANNEL, CHECKPOINT, SEGMENT, WRITE
from tests.support.statements import compiled


@pytest.mark.parametrize("with_data", [True, False])
def test_a_page_of_segments_has_their_bytes_only_when_asked(kind: str, with_data: bool) -> None:
    found = compiled(kind, verify.segments_after(kind, with_data))
    assert ("CASE WHEN (ckpt_segment.encoding = 'list')" in found.text) != with_data
    # Also segments whose object has no row are listed: they are what is looked for.
    assert "LEFT OUTER JOIN ckpt_object" in found.text
    assert found.parameters == {"after_thread_id", "after_digest", "page_size"}


@pytest.mark.parametrize("table", [CHECKPOINT, CHANNEL, WRITE, SEGMENT], ids=lambda table: table.name)
def test_the_bytes_of_a_page_are_known_before_it_is_read(kind: str, table: Table) -> None:
    found = compiled(kind, verify.sizes_after(kind, table))
    assert found.parameters == {"page_size", *[f"after_{column.name}" for column in table.primary_key]}
    assert found.text.startswith("SELECT coalesce(length(")


def test_what_layouts_name_and_is_missing_is_one_statement(kind: str) -> None:
    found = compiled(kind, verify.missing_segments(kind))
    assert found.tables == {"ckpt_channel", "ckpt_write", "ckpt_segment"}
    assert found.parameters == {"after", "last"}
    assert found.text.count("!= '@'") == 2


def test_registered_objects_are_paged_and_looked_up(kind: str) -> None:
    assert compiled(kind, verify.registered_objects(kind)).parameters == {"after", "page_size"}
    for among in (verify.segments_among(kind), verify.registered_among(kind), verify.needed_among(kind)):
        parameters = compiled(kind, among).parameters
        assert parameters == {"keys"} if kind == "sqlite" else all(name.startswith("keys_") for name in parameters)


def test_an_object_is_needed_if_live_or_marked_and_referred_to(kind: str) -> None:
    text = compiled(kind, verify.needed_among(kind)).text
    assert "state = 'live' OR ckpt_object.state = 'marked' AND (EXISTS" in text
