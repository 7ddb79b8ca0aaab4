"""From encoded writes to rows."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Table

from ckptstore.db import sql
from ckptstore.db.sql.tables import WRITE
from ckptstore.records import CheckpointKey, NewCheckpoint, NewSegment, NewWrite, NewWrites, Posting, Value
from ckptstore.values.encode import EncodedWrite, StoredForm
from ckptstore.writes.rows import BatchRows, entry_rows, row_keys, thread_rows

KEY = CheckpointKey("t", "ns", "c")
SEGMENT = NewSegment("digest", 9, "raw", b"123456789", None)


def put(key: CheckpointKey = KEY, created_at: int = 5, size: int = 7) -> EncodedWrite:
    values = [("messages", "1", Value("msgpack", b"\x01"))]
    carried, postings = [("n", "1")], frozenset({Posting("step", "n1")})
    record = NewCheckpoint(key, None, created_at, 4, Value("msgpack", b"body"), "{}", "{}", values, carried, postings, size)
    return EncodedWrite(record, [StoredForm(b"\x01", None)], [SEGMENT], ["known"], 10, blocks_thread=True)


def writes(task_id: str, data: bytes, *, replace: bool = False, key: CheckpointKey = KEY) -> EncodedWrite:
    record = NewWrites(key, task_id, "path", 5, [NewWrite(0, "x", Value("bytes", data))], replace)
    return EncodedWrite(record, [StoredForm(data, None)], (), (), 1, blocks_thread=False)


@pytest.mark.parametrize(
    ("part", "table"),
    [
        ("checkpoints", sql.tables.CHECKPOINT),
        ("channels", sql.tables.CHANNEL),
        ("tags", sql.tables.TAG),
        ("segments", sql.tables.SEGMENT),
        ("kept_writes", sql.tables.WRITE),
    ],
)
def test_a_row_has_its_tables_columns(part: str, table: Table) -> None:
    ((row,), columns) = BatchRows([(0, put()), (1, writes("task", b"1"))]).parts[part], list(table.c)
    assert len(row) == len(columns)
    named: dict[str, Any] = {column.name: cell for column, cell in zip(columns, row, strict=True)}
    assert named["thread_id"] == "t"
    assert named.get("checkpoint_ns", "ns") == "ns"
    assert named.get("checkpoint_id", "c") == "c"
    assert named.get("channel") in (None, "messages", "x")
    assert named.get("digest") in (None, "digest")


def test_what_a_write_needs_is_named_by_its_keys() -> None:
    parts = BatchRows([(0, put())]).parts
    assert parts["carried"] == [("t", "ns", "n", "1")]
    assert parts["known"] == [("t", "known")]


def test_parts_without_rows_are_absent() -> None:
    assert set(BatchRows([(0, writes("task", b"1"))]).parts) == {"kept_writes"}


def test_each_row_knows_its_entry() -> None:
    rows = BatchRows([(3, put()), (5, put(CheckpointKey("u", "", "d")))])
    assert rows.entry_nos["checkpoints"] == [3, 5]
    assert rows.entry_nos["tags"] == [3, 5]


_VALUE = [column.name for column in WRITE.columns].index("value")


def test_of_writes_with_one_key_the_first_stays_and_a_replacement_wins() -> None:
    kept = BatchRows([(0, writes("a", b"first")), (1, writes("a", b"second"))])
    assert [row[_VALUE] for row in kept.parts["kept_writes"]] == [b"first"]
    replaced = BatchRows([(0, writes("a", b"first")), (1, writes("a", b"new", replace=True)), (2, writes("a", b"late"))])
    assert set(replaced.parts) == {"replaced_writes"}
    assert [row[_VALUE] for row in replaced.parts["replaced_writes"]] == [b"new"]
    assert replaced.entry_nos["replaced_writes"] == [1]


def test_a_threads_row_adds_up_what_the_batch_does_to_it() -> None:
    other = CheckpointKey("t", "ns", "d")
    batch = [put(created_at=5), put(other, created_at=9, size=2), writes("task", b"1", key=CheckpointKey("a", "", "c"))]
    rows = thread_rows(batch)
    assert [(row[0], row[1], row[4], row[5]) for row in rows] == [("a", 5, 0, 0), ("t", 9, 2, 9)]
    assert [(row[0], row[4], row[5]) for row in thread_rows(batch, not_new={other})] == [("a", 0, 0), ("t", 1, 7)]


def test_entries_say_what_they_do_to_their_thread() -> None:
    first, second = entry_rows([(0, put()), (1, writes("task", b"1"))])
    assert (first[0], first[1], first[3:]) == ("t", 5, (True, 7, 0))
    assert (second[0], second[1], second[3:]) == ("t", 5, (False, 0, 1))


def test_the_keys_of_what_an_entry_stores() -> None:
    assert row_keys(put()) == [KEY]
    assert row_keys(writes("task", b"1")) == [(*KEY, "task", 0)]
