"""Statements that delete a thread's rows."""

from __future__ import annotations

from ckptstore.db.sql.delete import delete_tags, delete_thread_rows
from ckptstore.db.sql.tables import TAG_KEY, WRITE
from tests.support.statements import OF_VALUES, compiled


def test_rows_are_deleted_by_the_thread_that_leads_their_key(kind: str) -> None:
    found = compiled(kind, delete_thread_rows(kind, WRITE))
    assert found.text.startswith("DELETE FROM ckpt_write WHERE ckpt_write.thread_id = ")
    assert found.parameters == {"thread_id"}


def test_tags_are_deleted_by_their_whole_keys(kind: str) -> None:
    found = compiled(kind, delete_tags(kind))
    assert found.tables == {"ckpt_tag_posting", "ckpt_tag_thread", *OF_VALUES[kind]}
    assert found.parameters == ({"keys"} if kind == "sqlite" else {f"keys_{name}" for name in TAG_KEY})
