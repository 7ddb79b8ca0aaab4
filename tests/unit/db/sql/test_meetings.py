"""Statements that skip through two postings."""

from __future__ import annotations

from ckptstore.db.sql import meetings
from tests.support.statements import OF_VALUES, compiled

POSTING = {"source_key", "source_value_0"}


def test_a_skip_reads_the_tag_index_alone_in_bounded_steps(kind: str) -> None:
    found = compiled(kind, meetings.next_meeting(kind))
    assert found.parameters == {*POSTING, "has_0_key", "has_0_value", "start", "steps"}
    assert found.tables == {"ckpt_tag_posting", *OF_VALUES[kind]}
    assert "WITH RECURSIVE leap" in found.text


def test_a_posting_behind_others_is_found_in_the_index(kind: str) -> None:
    found = compiled(kind, meetings.posting_after(kind))
    assert found.parameters == {*POSTING, "start", "skipped"}
    assert found.tables == {"ckpt_tag_posting", *OF_VALUES[kind]}
