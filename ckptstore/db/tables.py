"""The definitions of the tables. What each is for, and what its columns mean, is said by its model in `ckptstore.db.models`.

They are apart from the models, so that only who uses these loads SQLAlchemy's ORM: a fifth of the time of `import ckptstore`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeEngine

from ckptstore.db.id_times import OFF_TIME
from ckptstore.db.times import UtcMicroseconds

TABLE_PREFIX = "ckpt_"
VERSION_TABLE = "ckpt_alembic_version"

METADATA = MetaData()

#: Text that compares as bytes.
Key = Text().with_variant(Text(collation="C"), "postgresql")

# WITHOUT ROWID: SQLite stores the rows in the B-tree of the primary key, so an insert writes one tree instead of two.
CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}
_ANY_ID = text("checkpoint_id > ''")
_REFERS = text("object_key IS NOT NULL")
_OFF_TIME = {f"{database}_where": text(condition) for database, condition in OFF_TIME.items()}


_Type = TypeEngine[Any] | type[TypeEngine[Any]]


def key(name: str, kind: _Type = Key) -> Column[Any]:
    """A column of the primary key."""
    return Column(name, kind, primary_key=True)


def always(name: str, kind: _Type, **options: Any) -> Column[Any]:
    """A column that is never null."""
    return Column(name, kind, nullable=False, **options)


def _layout() -> Column[Any]:
    return Column("layout", JSON(none_as_null=True))


def _checksum() -> Column[Any]:
    return Column("checksum", BigInteger)


THREAD = Table(
    "ckpt_thread",
    METADATA,
    key("thread_id"),
    always("created_at", UtcMicroseconds),
    always("updated_at", UtcMicroseconds),
    always("generation", BigInteger),
    always("checkpoint_count", BigInteger, server_default="0"),
    always("size", BigInteger, server_default="0"),
    Index("ckpt_thread_by_activity", "updated_at", "thread_id"),
    **CLUSTERED,
)

CHECKPOINT = Table(
    "ckpt_checkpoint",
    METADATA,
    key("thread_id"),
    key("checkpoint_ns"),
    key("checkpoint_id"),
    Column("parent_checkpoint_id", Key),
    always("created_at", UtcMicroseconds),
    always("format", SmallInteger),
    always("type", Text),
    always("body", LargeBinary),
    always("channel_versions", JSON),
    always("metadata", JSON),
    always("size", BigInteger),
    always("hidden", Boolean),
    Column("value_count", Integer),
    _checksum(),
    # Partial, with a condition that always holds, so that only statements that repeat the condition use it. To find the newest
    # checkpoint of one thread, a planner might otherwise scan this index backwards, past the checkpoints of all other threads.
    Index("ckpt_checkpoint_newest", "checkpoint_id", sqlite_where=_ANY_ID),
    Index("ckpt_checkpoint_by_time", "created_at"),
    # Nearly always empty: those that a search between two ids would miss. Databases have functions of their own in its condition.
    Index("ckpt_checkpoint_off_time", "created_at", sqlite_where=_OFF_TIME["sqlite_where"], info=_OFF_TIME),
    **CLUSTERED,
)

CHANNEL = Table(
    "ckpt_channel",
    METADATA,
    key("thread_id"),
    key("checkpoint_ns"),
    key("channel"),
    key("version"),
    always("type", Text),
    always("size", BigInteger),
    Column("value", LargeBinary),
    _layout(),
    _checksum(),
    **CLUSTERED,
)

SEGMENT = Table(
    "ckpt_segment",
    METADATA,
    key("thread_id"),
    key("digest"),
    always("size", BigInteger),
    always("encoding", Text),
    Column("data", LargeBinary),
    Column("object_key", Key),
    # Partial: nearly all segments are in their rows, and each new one would be a row of the index.
    Index("ckpt_segment_by_object", "object_key", sqlite_where=_REFERS),
)

WRITE = Table(
    "ckpt_write",
    METADATA,
    key("thread_id"),
    key("checkpoint_ns"),
    key("checkpoint_id"),
    key("task_id"),
    key("idx", BigInteger),
    always("task_path", Key),
    always("channel", Key),
    always("created_at", UtcMicroseconds),
    always("type", Text),
    always("size", BigInteger),
    Column("value", LargeBinary),
    _layout(),
    _checksum(),
    **CLUSTERED,
)

OBJECT = Table(
    "ckpt_object",
    METADATA,
    key("key"),
    always("digest", Key),
    always("size", BigInteger),
    always("created_at", UtcMicroseconds),
    always("state", Text),
    always("changed_at", UtcMicroseconds),
    Index("ckpt_object_by_digest", "digest"),
    Index("ckpt_object_by_state", "state", "changed_at"),
)

TAG = Table(
    "ckpt_tag",
    METADATA,
    key("key"),
    key("value"),
    key("checkpoint_id"),
    key("thread_id"),
    key("checkpoint_ns"),
    **CLUSTERED,
)

SETTING = Table("ckpt_setting", METADATA, key("name"), always("value", JSON), **CLUSTERED)

LEASE = Table(
    "ckpt_lease",
    METADATA,
    key("thread_id"),
    key("place", BigInteger),
    always("fence", Key),
    always("host", Text),
    always("pid", Integer),
    always("label", Text),
    always("since", UtcMicroseconds),
    always("expires_at", UtcMicroseconds),
    always("ttl", BigInteger),
    **CLUSTERED,
)

LOAD = Table(
    "ckpt_load",
    METADATA,
    key("started_at", UtcMicroseconds),
    key("process"),
    always("seconds", Integer),
    always("writes", BigInteger),
    always("commits", BigInteger),
    always("bytes_written", BigInteger),
    Column("commit_p99_microseconds", BigInteger),
    Column("lock_wait_microseconds", BigInteger),
    always("errors", BigInteger),
    always("retries", BigInteger),
    always("queue_depth", Integer),
    always("connections_in_use", Integer),
    always("connections_limit", Integer),
    always("searched", JSON),
    **CLUSTERED,
)

CONTENT = Table("ckpt_object_content", METADATA, key("key"), always("content", LargeBinary))


@cache
def tables_for_ddl() -> MetaData:
    """The tables with all that their DDL has: the partial indexes are partial on PostgreSQL, too.

    SQLAlchemy loads the dialect to check what is said for it, a tenth of the time of `import ckptstore`. Statements need none of it.
    """
    for table in METADATA.sorted_tables:
        for index in table.indexes:
            condition = index.dialect_options["sqlite"]["where"]
            if condition is not None:
                index.dialect_kwargs["postgresql_where"] = index.info.get("postgresql_where", condition)
    return METADATA
