"""Conditions and joins that look rows up by key, whatever a planner assumes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, bindparam, delete, literal_column, select

from ckptstore.db.sql.lookups import exists_for_row, has_given_key, hidden_value, is_visible, rows_with_keys, segment_lists
from ckptstore.db.sql.tables import CHECKPOINT, SEGMENT, SEGMENT_KEY
from tests.support.statements import compiled


def test_an_offset_keeps_postgresql_from_joining_whole_tables(kind: str) -> None:
    probe: Select[Any] = select(literal_column("1")).select_from(SEGMENT).where(SEGMENT.c.object_key == CHECKPOINT.c.thread_id)
    joined, found = rows_with_keys(kind, SEGMENT, SEGMENT_KEY)
    for statement in (select(CHECKPOINT.c.thread_id).where(exists_for_row(kind, probe)), select(found.c.digest).select_from(joined)):
        assert ("OFFSET 0" in compiled(kind, statement).text) == (kind == "postgresql")


def test_sqlite_reads_the_rows_before_the_table(kind: str) -> None:
    joined, found = rows_with_keys(kind, SEGMENT, SEGMENT_KEY)
    text = compiled(kind, select(found.c.digest).select_from(joined)).text
    assert ("AS keys CROSS JOIN ckpt_segment ON ckpt_segment.thread_id = " in text) == (kind == "sqlite")


def test_rows_to_delete_are_found_by_their_keys_first(kind: str) -> None:
    found = compiled(kind, delete(SEGMENT).where(has_given_key(kind, SEGMENT, SEGMENT_KEY)))
    # A row's place is unique only within its partition.
    assert "ctid" not in found.text
    assert found.parameters == ({"keys"} if kind == "sqlite" else {"keys_thread_id", "keys_digest"})


def test_only_the_bytes_of_lists_are_taken_as_text(kind: str) -> None:
    text = compiled(kind, segment_lists(kind, select(SEGMENT))).text
    assert "CASE WHEN (ckpt_segment.encoding = 'list') THEN CAST(" in text
    assert text.endswith("WHERE ckpt_segment.encoding = 'list'")


def test_what_is_visible_is_not_hidden(kind: str) -> None:
    text = compiled(kind, select(CHECKPOINT.c.thread_id).where(is_visible())).text
    assert text.endswith("hidden IS 0" if kind == "sqlite" else "hidden IS false")


def test_postgresqls_planner_does_not_see_a_hidden_value(kind: str) -> None:
    text = compiled(kind, select(hidden_value(kind, bindparam("value")))).text
    assert ("SELECT (SELECT " in text) == (kind == "postgresql")
