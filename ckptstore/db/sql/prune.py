"""Statements that delete checkpoints from threads, and that find the threads a policy may delete from."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Text,
    Update,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    literal_column,
    null,
    select,
    true,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.sql.dml import ReturningDelete

from ckptstore.db.sql import checksums
from ckptstore.db.sql.lookups import equal_columns, exists_for_row, has_given_key, layout_entries, lookup_join, segment_lists
from ckptstore.db.sql.routing import SCATTERED
from ckptstore.db.sql.tables import (
    CHANNEL,
    CHECKPOINT,
    CHECKPOINT_KEY,
    OBJECT,
    OBJECT_KEY,
    SEGMENT,
    THREAD,
    VERSION_KEY,
    WRITE,
)

_CUTOFF = bindparam("cutoff", type_=BigInteger)
_PAGE_SIZE = bindparam("page_size", type_=BigInteger)
_MAX_ROWS = bindparam("max_rows", type_=BigInteger)
_KEY_IN_THREAD = (CHECKPOINT.c.checkpoint_ns, CHECKPOINT.c.checkpoint_id)
_NODE_COLUMNS = (
    *(column.name for column in _KEY_IN_THREAD),
    "parent_checkpoint_id",
    "created_at",
    "format",
    "channel_versions",
    "metadata",
    "size",
    "hidden",
)


def thread_nodes(_database: str) -> Select[Any]:
    """What a deletion needs to know about a thread's checkpoints, without any payload."""
    return select(*_node_columns(CHECKPOINT)).where(CHECKPOINT.c.thread_id == bindparam("thread_id")).order_by(*_KEY_IN_THREAD)


def thread_nodes_after(database: str) -> Select[Any]:
    """The same of the checkpoints with ids after `after`, if they are among the `max_rows` checkpoints of all threads that follow it.

    No index has a thread's checkpoints in the order of their ids.
    """
    c = CHECKPOINT.c
    # The second condition is that of the partial index `ckpt_checkpoint_newest`.
    later = [c.checkpoint_id > bindparam("after", type_=Text()), c.checkpoint_id > literal_column("''")]
    keys = select(*[c[name] for name in CHECKPOINT_KEY]).where(*later).order_by(c.checkpoint_id).limit(_MAX_ROWS).subquery("later")
    joined, found = lookup_join(database, keys, CHECKPOINT, equal_columns(CHECKPOINT, keys, CHECKPOINT_KEY))
    return select(*_node_columns(found)).select_from(joined).where(keys.c.thread_id == bindparam("thread_id"))


def _node_columns(checkpoints: FromClause) -> list[ColumnElement[Any]]:
    c = checkpoints.c
    plain = {"created_at": cast(c.created_at, BigInteger)} | {name: cast(c[name], Text) for name in ("channel_versions", "metadata")}
    return [plain.get(name, c[name]) for name in _NODE_COLUMNS]


def checkpoints_with_writes_to(_database: str) -> Select[Any]:
    """Namespace and id of the thread's checkpoints that have writes to a channel."""
    of_channel = [WRITE.c[name] == bindparam(name) for name in ("thread_id", "channel")]
    return select(WRITE.c.checkpoint_ns, WRITE.c.checkpoint_id).where(*of_channel).distinct()


def hide_checkpoints(database: str) -> Update:
    """Hide the given checkpoints, which are kept only because others are rebuilt from them."""
    given = has_given_key(database, CHECKPOINT, CHECKPOINT_KEY)
    return update(CHECKPOINT).where(given).values(hidden=true(), checksum=checksums.of_hidden(CHECKPOINT))


def delete_checkpoints(database: str) -> ReturningDelete[Any]:
    """Delete the given checkpoints; returns the number of payload bytes of each row."""
    return delete(CHECKPOINT).where(has_given_key(database, CHECKPOINT, CHECKPOINT_KEY)).returning(_bytes_of(CHECKPOINT.c.body))


def delete_writes(database: str) -> ReturningDelete[Any]:
    """Delete the writes of the given checkpoints; returns the number of payload bytes of each row."""
    return delete(WRITE).where(has_given_key(database, WRITE, CHECKPOINT_KEY)).returning(_bytes_of(WRITE.c.value))


def delete_values(database: str) -> ReturningDelete[Any]:
    """Delete the given values; returns the number of payload bytes of each row."""
    return delete(CHANNEL).where(has_given_key(database, CHANNEL, VERSION_KEY)).returning(_bytes_of(CHANNEL.c.value))


def _bytes_of(column: ColumnElement[Any]) -> ColumnElement[int]:
    return func.coalesce(func.length(column), literal_column("0"))


def delete_unlinked_segments(database: str) -> ReturningDelete[Any]:
    """Delete segments of a thread that no layout names any more; returns each one's number of bytes, and its object.

    Up to `max_rows`, and as many as have `max_bytes` together, the last one with the rest of its bytes.
    """
    linked = [
        select(entries.c.value)
        .select_from(table.join(entries, literal_column("1" if database == "sqlite" else "true")))
        .where(table.c.thread_id == bindparam("thread_id"), table.c.layout.is_not(null()))
        for table in (CHANNEL, WRITE)
        for entries in [layout_entries(database, table.c.layout)]
    ]
    directly = union_all(*linked).cte("directly")
    this_thread = SEGMENT.c.thread_id == bindparam("thread_id")
    lists = segment_lists(database, select(SEGMENT).where(this_thread, SEGMENT.c.digest.in_(select(directly.c.value)))).cte("lists")
    entries = layout_entries(database, lists.c.listing)
    by_lists = select(entries.c.value).select_from(lists.join(entries, literal_column("1" if database == "sqlite" else "true")))
    # With a null among them, NOT IN is null.
    named = union_all(select(directly.c.value).where(directly.c.value.is_not(null())), by_lists).subquery("named")
    held = SEGMENT.alias("held")
    size = _bytes_of(held.c.data)
    before = func.sum(size).over(order_by=held.c.digest, rows=(None, 0)) - size
    of_thread = (held.c.thread_id == bindparam("thread_id"), held.c.digest.not_in(select(named.c.value)))
    unlinked = select(held.c.digest, before.label("before")).where(*of_thread).subquery("unlinked")
    these = select(unlinked.c.digest).where(unlinked.c.before < bindparam("max_bytes", type_=BigInteger)).limit(_MAX_ROWS)
    some = delete(SEGMENT).where(this_thread, SEGMENT.c.digest.in_(these))
    return some.returning(_bytes_of(SEGMENT.c.data), SEGMENT.c.object_key)


def delete_orphaned_writes(_database: str) -> ReturningDelete[Any]:
    """Delete up to `max_rows` writes of a thread from before `cutoff` whose checkpoint does not exist; returns each one's payload bytes."""
    stray = WRITE.alias("stray")
    orphaned = ~exists().where(*equal_columns(CHECKPOINT, stray, CHECKPOINT_KEY))
    key = [column.name for column in WRITE.primary_key]
    these: Select[Any] = select(*[stray.c[name] for name in key]).where(
        stray.c.thread_id == bindparam("thread_id"), stray.c.created_at < _CUTOFF, orphaned
    )
    some = tuple_(*[WRITE.c[name] for name in key]).in_(these.limit(_MAX_ROWS))
    return delete(WRITE).where(WRITE.c.thread_id == bindparam("thread_id"), some).returning(_bytes_of(WRITE.c.value))


# --- what a deletion would delete, for a dry run: all rows of a thread, with the bytes of their payloads instead of these


def sizes_of_checkpoints(_database: str) -> Select[Any]:
    """Namespace, id and payload bytes of a thread's checkpoints, hidden ones too."""
    c = CHECKPOINT.c
    return select(c.checkpoint_ns, c.checkpoint_id, _bytes_of(c.body)).where(c.thread_id == bindparam("thread_id"))


def sizes_of_writes(_database: str) -> Select[Any]:
    """Namespace, checkpoint, time, payload bytes and layout of a thread's writes."""
    c = WRITE.c
    columns = (c.checkpoint_ns, c.checkpoint_id, cast(c.created_at, BigInteger), _bytes_of(c.value), cast(c.layout, Text))
    return select(*columns).where(c.thread_id == bindparam("thread_id"))


def sizes_of_values(_database: str) -> Select[Any]:
    """Namespace, channel, version, payload bytes and layout of a thread's values."""
    c = CHANNEL.c
    columns = (c.checkpoint_ns, c.channel, c.version, _bytes_of(c.value), cast(c.layout, Text))
    return select(*columns).where(c.thread_id == bindparam("thread_id"))


def sizes_of_segments(_database: str) -> Select[Any]:
    """Digest, payload bytes, object and, of a list, the bytes of a thread's segments."""
    c = SEGMENT.c
    listing = case((c.encoding == literal_column("'list'"), c.data), else_=null())
    return select(c.digest, _bytes_of(c.data), c.object_key, listing).where(c.thread_id == bindparam("thread_id"))


def references_to_objects(database: str) -> Select[Any]:
    """Key and size of each of the given objects, and how many segments refer to it."""
    if database == SCATTERED:
        return _counted_references(database)
    references = select(func.count()).select_from(SEGMENT).where(SEGMENT.c.object_key == OBJECT.c.key).scalar_subquery()
    return select(OBJECT.c.key, OBJECT.c.size, references).where(has_given_key(database, OBJECT, OBJECT_KEY))


def _counted_references(database: str) -> Select[Any]:
    """See `references_to_objects`, for every shard: counted before they are joined."""
    given = SEGMENT.c.object_key == func.any(bindparam("keys_key", type_=ARRAY(Text())))
    counted = select(SEGMENT.c.object_key, func.count().label("count")).where(given).group_by(SEGMENT.c.object_key).subquery("counted")
    references = func.coalesce(counted.c.count, literal_column("0"))
    joined = OBJECT.outerjoin(counted, counted.c.object_key == OBJECT.c.key)
    return select(OBJECT.c.key, OBJECT.c.size, references).select_from(joined).where(has_given_key(database, OBJECT, OBJECT_KEY))


# --- pages of threads that a policy may delete from: each row begins with the thread id and its number of checkpoints


def old_checkpoints(_database: str) -> Select[Any]:
    """Checkpoints from before `cutoff`, oldest first, from `after_*` on; the last columns are the key after which the next page starts."""
    c = CHECKPOINT.c
    names = ("created_at", *CHECKPOINT_KEY)
    last = [bindparam(f"after_{name}", type_=BigInteger if name == "created_at" else Text()) for name in names]
    position = [cast(c.created_at, BigInteger), *[c[name] for name in CHECKPOINT_KEY]]
    return (
        select(c.thread_id, _checkpoints_of(c.thread_id), *position)
        # The last condition implies the first, but PostgreSQL does not infer that.
        .where(c.created_at >= last[0], c.created_at < _CUTOFF, tuple_(*position) > tuple_(*last))
        .order_by(c.created_at, *[c[name] for name in CHECKPOINT_KEY])
        .limit(_PAGE_SIZE)
    )


def idle_threads(_database: str) -> Select[Any]:
    """Threads that were last active before `cutoff`, the most idle first."""
    c = THREAD.c
    after = [bindparam("after_updated_at", type_=BigInteger), bindparam("after_thread_id", type_=Text())]
    updated_at = cast(c.updated_at, BigInteger)
    return (
        select(c.thread_id, c.checkpoint_count, updated_at, c.thread_id)
        .where(c.updated_at < _CUTOFF, tuple_(c.updated_at, c.thread_id) > tuple_(*after))
        .order_by(c.updated_at, c.thread_id)
        .limit(_PAGE_SIZE)
    )


def long_threads(_database: str) -> Select[Any]:
    """Threads with more checkpoints than `longest`, in the order of their ids."""
    c = THREAD.c
    longer = c.checkpoint_count > bindparam("longest", type_=BigInteger)
    after = c.thread_id > bindparam("after_thread_id", type_=Text())
    return select(c.thread_id, c.checkpoint_count, c.thread_id).where(longer, after).order_by(c.thread_id).limit(_PAGE_SIZE)


def threads_with_orphaned_writes(database: str) -> Select[Any]:
    """Threads with writes from before `cutoff` whose checkpoint does not exist, in the order of their ids.

    Of threads that are younger than that, no write is read: a thread is as old as its oldest write, apart from writes that a copy added.
    """
    c = THREAD.c
    checkpoint: Select[Any] = select(literal_column("1")).select_from(CHECKPOINT).where(*equal_columns(CHECKPOINT, WRITE, CHECKPOINT_KEY))
    orphaned: Select[Any] = (
        select(literal_column("1"))
        .select_from(WRITE)
        .where(WRITE.c.thread_id == c.thread_id, WRITE.c.created_at < _CUTOFF, ~exists_for_row(database, checkpoint))
    )
    return (
        select(c.thread_id, c.checkpoint_count, c.thread_id)
        .where(c.thread_id > bindparam("after_thread_id", type_=Text()), c.created_at < _CUTOFF, exists_for_row(database, orphaned))
        .order_by(c.thread_id)
        .limit(_PAGE_SIZE)
    )


def _checkpoints_of(thread_id: ColumnElement[str]) -> ColumnElement[int]:
    # No row only where somebody altered one.
    found = select(THREAD.c.checkpoint_count).where(THREAD.c.thread_id == thread_id).scalar_subquery()
    return func.coalesce(found, literal_column("0"))
