"""The tables, their keys, and rows as tuples: what every group of statements is made of."""

from __future__ import annotations

from typing import Any, NamedTuple

from ckptstore.db.tables import CHANNEL, CHECKPOINT, CONTENT, LEASE, LOAD, METADATA, OBJECT, SEGMENT, SETTING, TAG, THREAD, WRITE
from ckptstore.db.tag_tables import NUMBERED_POSTING, ON_SQLITE, POSTING, TAG_THREAD, TAG_VALUE, TAG_VALUE_LEFT
from ckptstore.records import CheckpointKey

__all__ = [
    "CHANNEL",
    "CHANNEL_WRITES_KEY",
    "CHECKPOINT",
    "CHECKPOINT_KEY",
    "CLUSTERED_TABLES",
    "CONTENT",
    "LEASE",
    "LEASE_KEY",
    "LOAD",
    "NUMBERED_POSTING",
    "OBJECT",
    "OBJECT_KEY",
    "PARTITIONED",
    "POSTING",
    "SEGMENT",
    "SEGMENT_KEY",
    "SETTING",
    "TAG",
    "TAG_KEY",
    "TAG_THREAD",
    "TAG_VALUE",
    "TAG_VALUE_LEFT",
    "THREAD",
    "VERSION_KEY",
    "WRITE",
    "CheckpointCells",
    "Row",
    "SegmentCells",
]

#: A row of a table, or of a part of a batch.
Row = tuple[Any, ...]


class CheckpointCells(NamedTuple):
    """A whole row of `CHECKPOINT`."""

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str
    parent_checkpoint_id: str | None
    created_at: int
    format: int
    type: str
    body: bytes
    channel_versions: str
    metadata: str
    size: int
    #: On SQLite a number.
    hidden: bool
    value_count: int | None
    checksum: int | None

    @property
    def key(self) -> CheckpointKey:
        """Its primary key."""
        return CheckpointKey(self.thread_id, self.checkpoint_ns, self.checkpoint_id)


class SegmentCells(NamedTuple):
    """A whole row of `SEGMENT`."""

    thread_id: str
    digest: str
    size: int
    encoding: str
    data: bytes | None
    object_key: str | None


#: The tables that may be partitioned by a hash of `thread_id` on PostgreSQL. The partitions of `ckpt_x` are `ckpt_x_p0`, `ckpt_x_p1`, ...
PARTITIONED = tuple(table.name for table in (THREAD, CHECKPOINT, CHANNEL, SEGMENT, WRITE))

#: Those that SQLite stores in the tree of their key, without row ids.
CLUSTERED_TABLES = frozenset(
    table.name
    for table in (*METADATA.tables.values(), *ON_SQLITE.tables.values())
    if table.dialect_options["sqlite"]["with_rowid"] is False
)

CHECKPOINT_KEY = ("thread_id", "checkpoint_ns", "checkpoint_id")
VERSION_KEY = ("thread_id", "checkpoint_ns", "channel", "version")
CHANNEL_WRITES_KEY = (*CHECKPOINT_KEY, "channel")
SEGMENT_KEY = ("thread_id", "digest")
OBJECT_KEY = ("key",)
#: A request for a thread. Its place changes.
LEASE_KEY = ("thread_id", "fence")
TAG_KEY = tuple(column.name for column in TAG.primary_key)
