"""Stores writes within a transaction, on either database: the fallback for what one statement can't store.

It finds out what is missing, confirms objects in blob storage, and replaces checkpoints that exist already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import Row
from ckptstore.records import CheckpointKey
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.rows import BatchRows, thread_rows
from ckptstore.writes.tag_rows import delete_tags, stored_tag_rows

#: Writes by their number in the batch.
NumberedWrites = Mapping[int, EncodedWrite]

# The object of an existing segment may be lost, or not in this store's backend: the segment that was just sent replaces it.
_CONFLICTS = {**sql.batch_parts.BATCH_ROWS, "segments": (sql.tables.SEGMENT, "replace_object")}


def store_writes(db: Db, writes: NumberedWrites) -> dict[int, MissingParts]:
    """Store writes within a transaction that locks their threads; a checkpoint replaces one with the same id, and its tags.

    Returns:
        What is missing, for each write that was not stored because of it.
    """
    missing = _missing_of(db, writes)
    writes = {number: write for number, write in writes.items() if number not in missing}
    if not writes:
        return missing
    rows = BatchRows(writes.items()).parts
    existing = _insert_checkpoints(db, rows.pop("checkpoints", []))
    if "segments" in rows:
        # Several writes of a thread may have the same; on PostgreSQL one statement can't insert and replace a row.
        rows["segments"] = list({row[: len(sql.tables.SEGMENT_KEY)]: row for row in rows["segments"]}.values())
    for part, some in rows.items():
        if part in _CONFLICTS:
            db.insert(*_CONFLICTS[part], some)
    db.insert(sql.tables.THREAD, "add_up", thread_rows(writes.values(), not_new=existing))
    for thread_id in {key.thread_id for key in existing}:
        db.run(sql.threads.recount, {"thread_id": thread_id})
    return missing


def _missing_of(db: Db, writes: NumberedWrites) -> dict[int, MissingParts]:
    missing: dict[int, MissingParts] = {}

    def note(number: int, found: MissingParts) -> None:
        missing[number] = missing.get(number, MissingParts()) | found

    rows = BatchRows(writes.items())
    for need, keys in rows.parts.items():
        if need in sql.batch_parts.BATCH_NEEDS:
            key = sql.batch_parts.BATCH_NEEDS[need][1]
            if need == "leases":
                # A holder that takes a thread over waits for this transaction, or is seen by the next statement.
                db.run(sql.leases.lock_fences, db.key_parameters(key, keys))
            given = [(*row, str(number)) for row, number in zip(keys, rows.entry_nos[need], strict=True)]
            for entry_no, *found in db.run(sql.batch_parts.missing_needs, db.key_parameters((*key, "entry_no"), given), need):
                note(entry_no, _missing_part(need, dict(zip(key, found, strict=True))))
    for number, write in writes.items():
        if deleted := confirm_objects(db, write):
            note(number, MissingParts(objects=deleted))
    return missing


def _missing_part(need: str, key: Mapping[str, str]) -> MissingParts:
    if need == "carried":
        return MissingParts(channels=(key["channel"],))
    return MissingParts(segments=(key["digest"],)) if need == "known" else MissingParts(lease=True)


def confirm_objects(db: Db, write: EncodedWrite) -> tuple[str, ...]:
    """Confirm the objects that a write refers to as live; returns those that are being deleted already."""
    keys = list(write.object_keys.values())
    if not keys:
        return ()
    live = {key for (key,) in db.run(sql.objects.confirm_live, {**db.object_keys(keys), "now": write.record.created_at})}
    return tuple(key for key in keys if key not in live)


def _insert_checkpoints(db: Db, rows: Sequence[Row]) -> set[CheckpointKey]:
    """Insert checkpoints; if some of them exist already, all are replaced, and the tags of the existing ones are deleted.

    Returns:
        Nothing if all are new, otherwise the keys of all: after the insert it is unknown which of them existed.
    """
    if db.insert(sql.tables.CHECKPOINT, "keep", rows) == len(rows):
        # Nearly always.
        return set()
    found = [
        (CheckpointKey(*key), metadata)
        for *key, metadata in db.run(
            sql.batch_parts.metadata_of,
            db.key_parameters(sql.tables.CHECKPOINT_KEY, [row[: len(sql.tables.CHECKPOINT_KEY)] for row in rows]),
        )
    ]
    delete_tags(db, stored_tag_rows(found))
    db.insert(sql.tables.CHECKPOINT, "replace", rows)
    return {key for key, _ in found}
