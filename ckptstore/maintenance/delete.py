"""Taking checkpoints away, and copying threads: each function opens one transaction on the connection it is given."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Table

from ckptstore.db import sql
from ckptstore.db.handle import Db
from ckptstore.maintenance.prune_plan import CheckpointRef
from ckptstore.records import CheckpointKey, DeletedRows, Posting
from ckptstore.tags.encoding import postings
from ckptstore.tags.keys import TagKeys
from ckptstore.writes.rows import new_generation, tag_rows
from ckptstore.writes.tag_rows import delete_tags, insert_tags, stored_tag_rows

# Everything that a thread owns but for its tags, whose index leads with the tag.
_OWNED: tuple[Table, ...] = (sql.tables.WRITE, sql.tables.CHANNEL, sql.tables.SEGMENT, sql.tables.CHECKPOINT)


def delete_thread(
    db: Db,
    thread_id: str,
) -> DeletedRows:
    """Delete all that a thread has, its own row last."""
    this = {"thread_id": thread_id}
    with db.transaction():
        if not _lock(db, thread_id):
            return DeletedRows()
        found = [(CheckpointKey(thread_id, *row[:2]), row[2]) for row in db.run(sql.delete.metadata_of_thread, this)]
        delete_tags(db, stored_tag_rows(found))
        gone = {table: db.run(sql.delete.delete_thread_rows, this, table).rowcount for table in (*_OWNED, sql.tables.THREAD)}
    return DeletedRows(
        threads=1, checkpoints=len(found), writes=gone[sql.tables.WRITE], values=gone[sql.tables.CHANNEL], segments=gone[sql.tables.SEGMENT]
    )


def _lock(
    db: Db,
    thread_id: str,
) -> bool:
    """Lock a thread's row; False where there is none, and so nothing else of the thread either."""
    # A statement of its own: what comes after it on PostgreSQL sees all that was committed before the lock was had.
    return bool(db.run(sql.delete.lock_thread, {"thread_id": thread_id}).all())


def copy_thread(
    db: Db,
    source: str,
    target: str,
    tag_keys: TagKeys,
) -> int:
    """Copy all that a thread has to another thread; what the other has under the same keys stays. Returns checkpoints copied."""
    parameters = {"thread_id": source, "target": target}
    with db.transaction():
        if not _lock(db, source):
            return 0
        db.run(sql.delete.copy_rows, {**parameters, "generation": new_generation()}, sql.tables.THREAD)
        _lock(db, target)
        for table in (sql.tables.SEGMENT, sql.tables.CHANNEL, sql.tables.WRITE, sql.tables.CHECKPOINT):
            db.run(sql.delete.copy_rows, parameters, table)
        db.run(sql.delete.show_copied, parameters)
        # From what is there now, since a checkpoint that the target had before keeps its own tags.
        found = db.run(sql.delete.metadata_of_thread, {"thread_id": target}).all()
        tagged = [(CheckpointKey(target, *row[:2]), postings(json.loads(row[2]), tag_keys)) for row in found]
        insert_tags(db, [row for key, of in tagged for row in tag_rows(key, of)])
        db.run(sql.delete.recount, {"thread_id": target})
    return len(found)


def checkpoints_with_postings(
    db: Db,
    wanted: Sequence[Posting],
) -> dict[str, set[CheckpointRef]]:
    """The checkpoints that have one of the postings, by thread."""
    parameters = db.key_parameters(("key", "value"), wanted)
    found: dict[str, set[CheckpointRef]] = {}
    for thread_id, namespace, checkpoint_id in db.run(sql.delete.checkpoints_with_postings, parameters):
        found.setdefault(thread_id, set()).add(CheckpointRef(namespace, checkpoint_id))
    return found
