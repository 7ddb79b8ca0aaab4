"""What several maintenance operations read of one thread: its row, and the metadata of its checkpoints."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import Row
from ckptstore.maintenance.prune_plan import MAX_METADATA_CHARACTERS
from ckptstore.reads.rows import parsed_metadata
from ckptstore.records import CheckpointKey, StateFormat
from ckptstore.tags.encoding import postings
from ckptstore.tags.keys import TagKeys
from ckptstore.writes.rows import tag_rows


class ThreadStamp(NamedTuple):
    """Tells whether a thread changed: with every new or deleted checkpoint, and within a second of every write."""

    generation: int
    checkpoint_count: int
    #: When something was last stored in the thread (microseconds since 1970, UTC, noted at most once a second).
    updated_at: int


class CheckpointMetadata(NamedTuple):
    """A checkpoint's key, and its metadata as JSON."""

    key: CheckpointKey
    metadata: str


def read_stamp(db: Db, thread_id: str) -> ThreadStamp | None:
    """The thread's stamp; None if there is no such thread."""
    rows = db.run(sql.threads.thread_stamp, {"thread_id": thread_id}).all()
    return ThreadStamp(*rows[0]) if rows else None


def lock_thread(db: Db, thread_id: str) -> ThreadStamp | None:
    """Lock the thread's row until the transaction ends; None if there is no such thread, and so none of its other rows either.

    A separate statement: on PostgreSQL the statements after it see everything that was committed before the lock was granted.
    """
    rows = db.run(sql.threads.lock_thread, {"thread_id": thread_id}).all()
    return ThreadStamp(*rows[0]) if rows else None


def checkpoint_metadata(db: Db, thread_id: str) -> list[CheckpointMetadata]:
    """Every checkpoint of the thread that is not hidden."""
    rows = db.run(sql.checkpoints.metadata_of_thread, {"thread_id": thread_id})
    return _metadata_of(thread_id, rows)


def metadata_page(db: Db, thread_id: str, after: tuple[str, str], page_size: int) -> list[CheckpointMetadata]:
    """The next checkpoints of the thread that are not hidden, after a namespace and id, in their order."""
    parameters = {"thread_id": thread_id, "after_checkpoint_ns": after[0], "after_checkpoint_id": after[1], "page_size": page_size}
    return _metadata_of(thread_id, db.run(sql.checkpoints.metadata_page, parameters))


def first_of(checkpoints: list[CheckpointMetadata]) -> list[CheckpointMetadata]:
    """As many of the first ones as one transaction changes the tags of: few if their metadata is long, at least one."""
    size = 0
    for number, each in enumerate(checkpoints):
        size += len(each.metadata)
        if number and size > MAX_METADATA_CHARACTERS:
            return checkpoints[:number]
    return checkpoints


def _metadata_of(thread_id: str, rows: Iterable[tuple[str, str, str]]) -> list[CheckpointMetadata]:
    return [
        CheckpointMetadata(CheckpointKey(thread_id, checkpoint_ns, checkpoint_id), metadata)
        for checkpoint_ns, checkpoint_id, metadata in rows
    ]


def indexed_tag_rows(checkpoints: list[CheckpointMetadata], tag_keys: TagKeys, state_format: StateFormat) -> list[Row]:
    """The rows that these checkpoints have in the tag index of a saver with these `tag_keys`.

    Raises:
        CheckpointCorrupt: the metadata of one was altered and can't be parsed.
    """
    without = state_format.unindexed_when_empty
    return [row for key, metadata in checkpoints for row in tag_rows(key, postings(parsed_metadata(key, metadata), tag_keys, without))]
