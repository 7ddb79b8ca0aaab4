"""Checks of rows that are transferred, and hashes by which the rows of two stores are compared."""

from __future__ import annotations

from sqlalchemy import Table

from ckptstore.db.sql.tables import CHANNEL, CHECKPOINT, SEGMENT, WRITE, CheckpointCells, Row, SegmentCells
from ckptstore.errors import CheckpointCorrupt
from ckptstore.values.checksums import HIDDEN, channel_checksum, checkpoint_checksum, write_checksum
from ckptstore.values.compression import decompress_segment

_KEY_LENGTHS = {CHECKPOINT.name: 3, CHANNEL.name: 4, WRITE.name: 5, SEGMENT.name: 2}
_PAYLOADS = {CHECKPOINT.name: 7, CHANNEL.name: 6, WRITE.name: 10, SEGMENT.name: 4}


def hash_of_marks(table: str, thread_id: str, marks: Row) -> int:
    """The hash of a row, from what `sql.transfer.marks_page` returns of it. It holds in this process only."""
    if table == SEGMENT.name:
        return hash((table, thread_id, marks[0]))
    return hash((table, thread_id, *marks))


def row_hash(table: str, row: Row) -> int:
    """The hash of a whole row, see `hash_of_marks`."""
    key = row[: _KEY_LENGTHS[table]]
    return hash((table, *key)) if table == SEGMENT.name else hash((table, *key, payload_bytes(table, row), row[-1]))


def payload_bytes(table: str, row: Row) -> int:
    """Bytes of a row's payload."""
    return len(row[_PAYLOADS[table]] or b"")


def checked(table: Table, row: Row) -> Row:
    """A row as every database takes it, after its checksum or digest was compared.

    Raises:
        CheckpointCorrupt: it was altered.
        BlobCorrupt: it is a segment that was altered.
    """
    if table is SEGMENT:
        segment = SegmentCells(*row)
        if segment.data is not None:
            decompress_segment(segment.digest, segment.size, segment.encoding, segment.data)
        elif segment.object_key is None:
            raise CheckpointCorrupt(
                f"segment {segment.digest} of thread {segment.thread_id!r} has neither bytes nor an object; restore it from a backup"
            )
        return row
    if table is CHECKPOINT:
        # SQLite has no booleans.
        cells = CheckpointCells(*row)
        row = tuple(cells._replace(hidden=bool(cells.hidden)))
    if row[-1] is not None and row[-1] != checksum_of(table, row):
        raise CheckpointCorrupt(
            f"a row of thread {row[0]!r} in {table.name} was altered, the checksum does not match; restore it from a backup, "
            "or delete the thread"
        )
    return row


def checksum_of(table: Table, row: Row) -> int | None:
    """The checksum that a row must have; None if it can't be computed, because a cell has another type."""
    try:
        return _checksum_of(table, row)
    except (TypeError, AttributeError):
        return None


def _checksum_of(table: Table, row: Row) -> int:
    if table is CHANNEL:
        return channel_checksum(row[:4], *row[4:8])
    if table is WRITE:
        task_path, channel, _, *value, _ = row[5:]
        return write_checksum(row[:5], task_path, channel, *value)
    of = CheckpointCells(*row)
    payload = (of.format, of.type, of.body, of.channel_versions, of.metadata, of.value_count)
    checksum = checkpoint_checksum(of.key, of.parent_checkpoint_id, *payload)
    return checksum ^ HIDDEN if of.hidden else checksum


def hidden_row(row: Row) -> Row:
    """The row of a visible checkpoint as it is when the checkpoint is hidden."""
    cells = CheckpointCells(*row)
    checksum = None if cells.checksum is None else cells.checksum ^ HIDDEN
    return tuple(cells._replace(hidden=True, checksum=checksum))
