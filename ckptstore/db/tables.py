"""The definitions of the tables. What each is for, and what its columns mean, is said by its model in `ckptstore.db.models`.

They are apart from the models, so that only who uses these loads SQLAlchemy's ORM: a fifth of the time of `import ckptstore`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, SmallInteger, Table, Text, text
from sqlalchemy.types import TypeEngine

from ckptstore.db.id_times import OFF_TIME
from ckptstore.db.times import UtcMicroseconds

TABLE_PREFIX = "ckpt_"
VERSION_TABLE = "ckpt_alembic_version"

METADATA = MetaData()

#: Text that compares as bytes.
Key = Text().with_variant(Text(collation="C"), "postgresql")

# WITHOUT ROWID: SQLite stores the rows in the B-tree of the primary key, so an insert writes one tree instead of two.
_CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}
_ANY_ID = text("checkpoint_id > ''")
_REFERS = text("object_key IS NOT NULL")
_OFF_TIME = {f"{database}_where": text(condition) for database, condition in OFF_TIME.items()}

_Type = TypeEngine[Any] | type[TypeEngine[Any]]


def _key(name: str, kind: _Type = Key) -> Column[Any]:
    """A column of the primary key."""
    return Column(name, kind, primary_key=True)


def _always(name: str, kind: _Type, **options: Any) -> Column[Any]:
    """A column that is never null."""
    return Column(name, kind, nullable=False, **options)


def _layout() -> Column[Any]:
    return Column("layout", JSON(none_as_null=True))


def _checksum() -> Column[Any]:
    return Column("checksum", BigInteger)


THREAD = Table(
    "ckpt_thread",
    METADATA,
    _key("thread_id"),
    _always("created_at", UtcMicroseconds),
    _always("updated_at", UtcMicroseconds),
    _always("generation", BigInteger),
    _always("checkpoint_count", BigInteger, server_default="0"),
    _always("size", BigInteger, server_default="0"),
    Index("ckpt_thread_by_activity", "updated_at", "thread_id"),
    **_CLUSTERED,
)

CHECKPOINT = Table(
    "ckpt_checkpoint",
    METADATA,
    _key("thread_id"),
    _key("checkpoint_ns"),
    _key("checkpoint_id"),
    Column("parent_checkpoint_id", Key),
    _always("created_at", UtcMicroseconds),
    _always("format", SmallInteger),
    _always("type", Text),
    _always("body", LargeBinary),
    _always("channel_versions", JSON),
    _always("metadata", JSON),
    _always("size", BigInteger),
    _always("hidden", Boolean),
    Column("value_count", Integer),
    _checksum(),
    # Partial, with a condition that always holds, so that only statements that repeat the condition use it. To find the newest
    # checkpoint of one thread, a planner might otherwise scan this index backwards, past the checkpoints of all other threads.
    Index("ckpt_checkpoint_newest", "checkpoint_id", sqlite_where=_ANY_ID),
    Index("ckpt_checkpoint_by_time", "created_at"),
    # Nearly always empty: those that a search between two ids would miss. Databases have functions of their own in its condition.
    Index("ckpt_checkpoint_off_time", "created_at", sqlite_where=_OFF_TIME["sqlite_where"], info=_OFF_TIME),
    **_CLUSTERED,
)

CHANNEL = Table(
    "ckpt_channel",
    METADATA,
    _key("thread_id"),
    _key("checkpoint_ns"),
    _key("channel"),
    _key("version"),
    _always("type", Text),
    _always("size", BigInteger),
    Column("value", LargeBinary),
    _layout(),
    _checksum(),
    **_CLUSTERED,
)

SEGMENT = Table(
    "ckpt_segment",
    METADATA,
    _key("thread_id"),
    _key("digest"),
    _always("size", BigInteger),
    _always("encoding", Text),
    Column("data", LargeBinary),
    Column("object_key", Key),
    # Partial: nearly all segments are in their rows, and each new one would be a row of the index.
    Index("ckpt_segment_by_object", "object_key", sqlite_where=_REFERS),
)

WRITE = Table(
    "ckpt_write",
    METADATA,
    _key("thread_id"),
    _key("checkpoint_ns"),
    _key("checkpoint_id"),
    _key("task_id"),
    _key("idx", BigInteger),
    _always("task_path", Key),
    _always("channel", Key),
    _always("created_at", UtcMicroseconds),
    _always("type", Text),
    _always("size", BigInteger),
    Column("value", LargeBinary),
    _layout(),
    _checksum(),
    **_CLUSTERED,
)

OBJECT = Table(
    "ckpt_object",
    METADATA,
    _key("key"),
    _always("digest", Key),
    _always("size", BigInteger),
    _always("created_at", UtcMicroseconds),
    _always("state", Text),
    _always("changed_at", UtcMicroseconds),
    Index("ckpt_object_by_digest", "digest"),
    Index("ckpt_object_by_state", "state", "changed_at"),
)

TAG = Table(
    "ckpt_tag",
    METADATA,
    _key("key"),
    _key("value"),
    _key("checkpoint_id"),
    _key("thread_id"),
    _key("checkpoint_ns"),
    **_CLUSTERED,
)

#: On SQLite, `ckpt_tag` is a view of the following two tables: a tag names its thread by a number.
ON_SQLITE = MetaData()

TAG_THREAD = Table("ckpt_tag_thread", ON_SQLITE, _key("number", Integer), _always("thread_id", Text, unique=True))

POSTING = Table(
    "ckpt_tag_posting",
    ON_SQLITE,
    _key("key", Text),
    _key("value", Text),
    _key("checkpoint_id", Text),
    Column("thread_no", Integer, primary_key=True, autoincrement=False),
    _key("checkpoint_ns", Text),
    **_CLUSTERED,
)

SETTING = Table("ckpt_setting", METADATA, _key("name"), _always("value", JSON), **_CLUSTERED)

LEASE = Table(
    "ckpt_lease",
    METADATA,
    _key("thread_id"),
    _key("place", BigInteger),
    _always("fence", Key),
    _always("host", Text),
    _always("pid", Integer),
    _always("label", Text),
    _always("since", UtcMicroseconds),
    _always("expires_at", UtcMicroseconds),
    _always("ttl", BigInteger),
    **_CLUSTERED,
)

LOAD = Table(
    "ckpt_load",
    METADATA,
    _key("started_at", UtcMicroseconds),
    _key("process"),
    _always("seconds", Integer),
    _always("writes", BigInteger),
    _always("commits", BigInteger),
    _always("bytes_written", BigInteger),
    Column("commit_p99_microseconds", BigInteger),
    Column("lock_wait_microseconds", BigInteger),
    _always("errors", BigInteger),
    _always("retries", BigInteger),
    _always("queue_depth", Integer),
    _always("connections_in_use", Integer),
    _always("connections_limit", Integer),
    _always("searched", JSON),
    **_CLUSTERED,
)

CONTENT = Table("ckpt_object_content", METADATA, _key("key"), _always("content", LargeBinary))

#: The tables that a SQLite file has.
TABLES_OF_FILE = (*[table for table in METADATA.sorted_tables if table is not TAG], *ON_SQLITE.sorted_tables)


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
