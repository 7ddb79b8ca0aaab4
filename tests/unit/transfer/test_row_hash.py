"""Rows are checked before they are taken over, and compared by hashes."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore.db.sql.tables import CHANNEL, CHECKPOINT, SEGMENT, WRITE
from ckptstore.errors import BlobCorrupt, CheckpointCorrupt
from ckptstore.transfer.row_hash import checked, checksum_of, hash_of_marks, hidden_row, payload_bytes, row_hash
from ckptstore.values.digests import compact_digest_of

_CHECKPOINT: tuple[Any, ...] = ("t", "", "c", None, 1, 4, "msgpack", b"body", "{}", "{}", 4, False, 0)
ROWS = {
    CHECKPOINT: (*_CHECKPOINT, checksum_of(CHECKPOINT, (*_CHECKPOINT, None))),
    CHANNEL: ("t", "", "x", "1", "msgpack", 3, b"abc", None, checksum_of(CHANNEL, ("t", "", "x", "1", "msgpack", 3, b"abc", None, None))),
    WRITE: (
        *("t", "", "c", "task", 0, "", "x", 1, "msgpack", 3, b"abc", None),
        checksum_of(WRITE, ("t", "", "c", "task", 0, "", "x", 1, "msgpack", 3, b"abc", None, None)),
    ),
}


@pytest.mark.parametrize("table", ROWS, ids=str)
def test_an_altered_row_is_refused(table: Any) -> None:
    row = ROWS[table]
    assert checked(table, row) == row
    assert checked(table, (*row[:-1], None)) == (*row[:-1], None)
    payload = payload_bytes(table.name, row)
    assert payload in (3, 4)
    for altered in ((*row[:-1], row[-1] ^ 1), ("u", *row[1:]), (*row[:2], 5, *row[3:])):
        with pytest.raises(CheckpointCorrupt, match=table.name):
            checked(table, altered)


def test_a_hidden_checkpoint_has_the_checksum_of_a_hidden_one() -> None:
    hidden = hidden_row(ROWS[CHECKPOINT])
    assert hidden[11] is True
    assert checked(CHECKPOINT, (*hidden[:11], 1, *hidden[12:])) == hidden
    with pytest.raises(CheckpointCorrupt):
        checked(CHECKPOINT, (*hidden[:11], False, *hidden[12:]))


def test_segments_are_checked_by_their_digests() -> None:
    row = ("t", compact_digest_of(b"abc"), 3, "raw", b"abc", None)
    assert checked(SEGMENT, row) is row
    with pytest.raises(BlobCorrupt):
        checked(SEGMENT, (*row[:4], b"abd", None))
    with pytest.raises(CheckpointCorrupt, match="neither bytes nor an object"):
        checked(SEGMENT, (*row[:4], None, None))
    # Its bytes may be in an object of the one store, and in a row of the other.
    assert row_hash(SEGMENT.name, row) == row_hash(SEGMENT.name, (*row[:4], None, "key"))


@pytest.mark.parametrize("table", ROWS, ids=str)
def test_the_hash_of_a_row_is_that_of_its_marks(table: Any) -> None:
    row = ROWS[table]
    key = row[1 : len(table.primary_key)]
    marks = (*key, payload_bytes(table.name, row), row[-1])
    assert hash_of_marks(table.name, "t", marks) == row_hash(table.name, row)
    assert hash_of_marks(table.name, "t", (*marks[:-1], 0)) != row_hash(table.name, row)
