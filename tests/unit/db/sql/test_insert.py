"""Inserts of whole rows, and what becomes of a row whose key exists."""

from __future__ import annotations

import pytest
from sqlalchemy import literal_column

from ckptstore.db.sql.insert import insert_arrays, insert_rows, row_parameters, touch_thread
from ckptstore.db.sql.tables import CHANNEL, SEGMENT, THREAD
from tests.support.statements import compiled


def test_rows_on_sqlite_are_positional_cells() -> None:
    text = compiled("sqlite", insert_rows("sqlite", 3, SEGMENT, "keep")).text
    assert text.count("?") == 3 * len(SEGMENT.c)


def test_arrays_on_postgresql_take_what_their_parameters_send() -> None:
    row = (*range(len(SEGMENT.c)),)
    sent = row_parameters(SEGMENT, [row, row])
    assert compiled("postgresql", insert_arrays("postgresql", SEGMENT, "keep")).parameters == sent.keys()
    assert list(sent.values()) == [[cell, cell] for cell in row]
    assert all(value == [] for value in row_parameters(SEGMENT, []).values())


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    ("table", "conflict", "wanted"),
    [
        (SEGMENT, "keep", "ON CONFLICT (thread_id, digest) DO NOTHING"),
        (CHANNEL, "replace", "ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO UPDATE SET type = excluded.type"),
        (SEGMENT, "replace_object", "WHERE ckpt_segment.object_key IS NOT NULL"),
        (THREAD, "add_up", "checkpoint_count = (ckpt_thread.checkpoint_count + excluded.checkpoint_count)"),
        (THREAD, "add_counts", "size = (ckpt_thread.size + excluded.size) WHERE excluded.checkpoint_count != 0"),
    ],
    ids=["keep", "replace", "replace_object", "add_up", "add_counts"],
)
def test_a_row_that_exists_is_kept_replaced_or_added_to(kind: str, table: object, conflict: str, wanted: str) -> None:
    made = insert_rows(kind, 1, table, conflict) if kind == "sqlite" else insert_arrays(kind, table, conflict)  # type: ignore[arg-type]
    assert wanted in compiled(kind, made).text


def test_activity_within_a_second_does_not_move_a_threads_time(kind: str) -> None:
    made = insert_rows(kind, 1, THREAD, "add_up") if kind == "sqlite" else insert_arrays(kind, THREAD, "add_up")
    text = compiled(kind, made).text
    assert "CASE WHEN (excluded.updated_at > ckpt_thread.updated_at + 1000000) THEN" in text
    # PostgreSQL writes the row all the same, which locks it.
    assert (" WHERE excluded.updated_at >" in text) == (kind == "sqlite")


def test_only_activity_after_a_second_touches_a_thread() -> None:
    text = compiled("sqlite", touch_thread(THREAD, literal_column("'t'"), literal_column("7"))).text
    assert text == "UPDATE ckpt_thread SET updated_at=7 WHERE ckpt_thread.thread_id = 't' AND 7 > ckpt_thread.updated_at + 1000000"
    assert "updated_at" not in compiled("sqlite", insert_rows("sqlite", 1, THREAD, "add_counts")).text.partition("DO UPDATE")[2]
