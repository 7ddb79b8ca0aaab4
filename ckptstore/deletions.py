"""Taking checkpoints away, and copying threads: each function opens one transaction on the connection it is given."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection, Table

from ckptstore import statements as sql
from ckptstore.engine import transaction
from ckptstore.prepared import StatementCache
from ckptstore.records import CheckpointKey, Posting, Removed
from ckptstore.retention import Place
from ckptstore.rows import new_generation, tag_rows
from ckptstore.tagkeys import TagKeys
from ckptstore.tags import postings
from ckptstore.writes import delete_tags, insert_tags, rows_of_tags

# Everything that a thread owns but for its tags, whose index leads with the tag.
_OWNED: tuple[Table, ...] = (sql.WRITE, sql.CHANNEL, sql.SEGMENT, sql.CHECKPOINT)


def delete_thread(connection: Connection, thread_id: str, prepared: StatementCache) -> Removed:
    """Delete all that a thread has, its own row last."""
    this = {"thread_id": thread_id}
    with transaction(connection):
        if not _lock(connection, thread_id, prepared):
            return Removed()
        found = [(CheckpointKey(thread_id, *row[:2]), row[2]) for row in prepared(sql.metadata_of_thread).run(connection, this)]
        delete_tags(connection, rows_of_tags(found), prepared)
        gone = {table: prepared(sql.delete_thread_rows, table).run(connection, this).rowcount for table in (*_OWNED, sql.THREAD)}
    return Removed(threads=1, checkpoints=len(found), writes=gone[sql.WRITE], values=gone[sql.CHANNEL], segments=gone[sql.SEGMENT])


def _lock(connection: Connection, thread_id: str, prepared: StatementCache) -> bool:
    """Lock a thread's row; False where there is none, and so nothing else of the thread either."""
    # A statement of its own: what comes after it on PostgreSQL sees all that was committed before the lock was had.
    return bool(prepared(sql.lock_thread).run(connection, {"thread_id": thread_id}).all())


def copy_thread(connection: Connection, source: str, target: str, tag_keys: TagKeys, prepared: StatementCache) -> int:
    """Copy all that a thread has to another thread; what the other has under the same keys stays. Returns checkpoints copied."""
    parameters = {"thread_id": source, "target": target}
    with transaction(connection):
        if not _lock(connection, source, prepared):
            return 0
        prepared(sql.copy_rows, sql.THREAD).run(connection, {**parameters, "generation": new_generation()})
        _lock(connection, target, prepared)
        for table in (sql.SEGMENT, sql.CHANNEL, sql.WRITE, sql.CHECKPOINT):
            prepared(sql.copy_rows, table).run(connection, parameters)
        prepared(sql.show_copied).run(connection, parameters)
        # From what is there now, since a checkpoint that the target had before keeps its own tags.
        found = prepared(sql.metadata_of_thread).run(connection, {"thread_id": target}).all()
        tagged = [(CheckpointKey(target, *row[:2]), postings(json.loads(row[2]), tag_keys)) for row in found]
        insert_tags(connection, [row for key, of in tagged for row in tag_rows(key, of)], prepared)
        prepared(sql.recount).run(connection, {"thread_id": target})
    return len(found)


def places_with_postings(connection: Connection, wanted: Sequence[Posting], prepared: StatementCache) -> dict[str, set[Place]]:
    """The checkpoints that have one of the postings, by thread."""
    parameters = sql.key_parameters(prepared.dialect.name, ("key", "value"), wanted)
    found: dict[str, set[Place]] = {}
    for thread_id, namespace, checkpoint_id in prepared(sql.checkpoints_with_postings).run(connection, parameters):
        found.setdefault(thread_id, set()).add(Place(namespace, checkpoint_id))
    return found
