"""Copying a thread inside the database."""

from __future__ import annotations

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.maintenance.thread_rows import checkpoint_metadata, indexed_tag_rows, lock_thread
from ckptstore.records import StateFormat
from ckptstore.tags.keys import TagKeys
from ckptstore.values.checksums import copy_mask
from ckptstore.writes.rows import new_generation
from ckptstore.writes.tag_rows import insert_tags


def copy_thread(db: Db, source: str, target: str, tag_keys: TagKeys, state_format: StateFormat) -> int:
    """Copy everything that a thread has to another thread id, in one transaction. Objects are shared.

    Rows that the target has already under the same keys stay as they are.

    Args:
        db: the database.
        source: the id of the thread to copy; nothing is copied if there is no such thread.
        target: the id of the copy.
        tag_keys: which metadata keys are in the tag index.
        state_format: what the checkpoints' metadata means.

    Returns:
        How many checkpoints the target has afterwards.
    """
    db.expect_long()
    parameters = {"thread_id": source, "target": target, "checksum_mask": copy_mask(source, target)}
    with db.transaction():
        if lock_thread(db, source) is None:
            return 0
        db.run(sql.copy.copy_rows, {**parameters, "generation": new_generation()}, sql.tables.THREAD)
        lock_thread(db, target)
        for table in (sql.tables.SEGMENT, sql.tables.CHANNEL, sql.tables.WRITE, sql.tables.CHECKPOINT):
            db.run(sql.copy.copy_rows, parameters, table)
        db.run(sql.copy.unhide_copied, parameters)
        # Read from the target, since a checkpoint that it had before keeps its own metadata.
        checkpoints = checkpoint_metadata(db, target)
        insert_tags(db, indexed_tag_rows(checkpoints, tag_keys, state_format))
        db.run(sql.threads.recount, {"thread_id": target})
    return len(checkpoints)
