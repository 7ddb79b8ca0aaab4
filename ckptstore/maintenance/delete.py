"""Deleting a whole thread, and finding the checkpoints that have given tags."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Table

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.stored_settings import formed
from ckptstore.errors import CheckpointCorrupt
from ckptstore.maintenance.prune_plan import MAX_METADATA_CHARACTERS, CheckpointRef
from ckptstore.maintenance.reports import DeletedRows
from ckptstore.maintenance.thread_rows import CheckpointMetadata, checkpoint_metadata, lock_thread
from ckptstore.records import Posting
from ckptstore.writes.tag_rows import delete_tags, stored_tag_rows

# In the order of deletion, the thread's own row last. Tags are deleted by their keys: their index does not begin with the thread.
_TABLES: tuple[Table, ...] = (sql.tables.WRITE, sql.tables.CHANNEL, sql.tables.SEGMENT, sql.tables.CHECKPOINT, sql.tables.THREAD)
# How many rows of each table one transaction deletes: other writes on SQLite wait for it.
_ROWS_AT_ONCE = 500
_CHECKPOINTS_AT_ONCE = 50
_BYTES_AT_ONCE = 8 * 1024 * 1024
# With the bodies; long metadata has many tags.
_METADATA_AT_ONCE = 2 * MAX_METADATA_CHARACTERS
# Settings that say which deletions of large threads have begun and not ended.
_UNFINISHED = "deletion of "


class LargeThread(NamedTuple):
    """What a thread had when its deletion began. What is stored in it later is kept."""

    checkpoints: frozenset[CheckpointRef]
    #: The checkpoints that have writes, whether they are stored or not.
    written: Sequence[CheckpointRef]


def delete_thread(db: Db, thread_id: str, *, at_once: bool = False) -> DeletedRows | LargeThread:
    """Delete everything that a thread has, in one transaction.

    If that is many rows, delete nothing and return what to delete in stages; `forget_unfinished` when it is deleted.

    Args:
        db: the database.
        thread_id: the thread.
        at_once: delete it in this transaction, however many rows that are.
    """
    db.expect_long()
    with db.transaction():
        if lock_thread(db, thread_id) is None:
            return DeletedRows()
        if not at_once and _is_large(db, thread_id):
            content = _content(db, thread_id)
            # If this process dies meanwhile, a prune by any policy finishes the deletion.
            value = json.dumps({"checkpoints": sorted(content.checkpoints), "written": content.written})
            db.run(sql.settings_table.set_setting, {"name": _UNFINISHED + thread_id, "value": value}, "replace")
            return content
        forget_unfinished(db, thread_id)
        checkpoints = checkpoint_metadata(db, thread_id)
        _delete_tags(db, thread_id, checkpoints)
        deleted = {table: db.run(sql.delete.delete_thread_rows, {"thread_id": thread_id}, table).rowcount for table in _TABLES}
    return DeletedRows(
        deleted_threads=1,
        checkpoints=len(checkpoints),
        writes=deleted[sql.tables.WRITE],
        values=deleted[sql.tables.CHANNEL],
        segments=deleted[sql.tables.SEGMENT],
    )


def _delete_tags(db: Db, thread_id: str, checkpoints: Sequence[CheckpointMetadata]) -> None:
    try:
        delete_tags(db, stored_tag_rows(checkpoints))
    except CheckpointCorrupt:
        # Metadata was altered, so its tags are unknown: search the whole index.
        db.run(sql.delete.delete_thread_rows, {"thread_id": thread_id}, sql.tables.TAG)


def _is_large(db: Db, thread_id: str) -> bool:
    bounds = {sql.tables.CHECKPOINT: _CHECKPOINTS_AT_ONCE, **dict.fromkeys(_TABLES[:3], _ROWS_AT_ONCE)}
    for table, bound in bounds.items():
        ((count, size),) = db.run(sql.delete.count_thread_rows, {"thread_id": thread_id, "bound": bound + 1}, table)
        if count > bound or size > (_METADATA_AT_ONCE if table is sql.tables.CHECKPOINT else _BYTES_AT_ONCE):
            return True
    return False


def _content(db: Db, thread_id: str) -> LargeThread:
    refs, written = (
        [CheckpointRef(*row) for row in db.run(sql.delete.refs_in_thread, {"thread_id": thread_id}, table)]
        for table in (sql.tables.CHECKPOINT, sql.tables.WRITE)
    )
    return LargeThread(frozenset(refs), written)


def unfinished_deletions(db: Db, thread_ids: Iterable[str] | None = None) -> dict[str, LargeThread]:
    """The deletions of large threads that have begun and not ended, by thread; or those of some threads."""
    if thread_ids is None:
        rows = db.run(sql.settings_table.settings_beginning_with, {"prefix": _UNFINISHED, "length": len(_UNFINISHED)})
    else:
        rows = db.run(sql.transfer.given_settings, db.key_parameters(("name",), [(_UNFINISHED + each,) for each in thread_ids]))
    return {name.removeprefix(_UNFINISHED): formed(name, value, _large_thread) for name, value in rows}


def _large_thread(stored: dict[str, Any]) -> LargeThread:
    refs, written = ([CheckpointRef(*ref) for ref in stored[part]] for part in ("checkpoints", "written"))
    return LargeThread(frozenset(refs), written)


def forget_unfinished(db: Db, thread_id: str) -> None:
    """Note that a deletion has ended."""
    db.run(sql.settings_table.delete_setting, {"name": _UNFINISHED + thread_id})


def checkpoints_with_postings(db: Db, wanted: Sequence[Posting]) -> dict[str, set[CheckpointRef]]:
    """The checkpoints that have at least one of the postings, by thread."""
    db.expect_long()
    found: dict[str, set[CheckpointRef]] = {}
    rows = db.run(sql.postings.checkpoints_with_postings, db.key_parameters(("key", "value"), wanted))
    for thread_id, checkpoint_ns, checkpoint_id in rows:
        found.setdefault(thread_id, set()).add(CheckpointRef(checkpoint_ns, checkpoint_id))
    return found
