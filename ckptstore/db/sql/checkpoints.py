"""Statements that read whole checkpoints, a checkpoint's ancestors, and single values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    JSON,
    BigInteger,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Select,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    null,
    select,
    tuple_,
    union,
    union_all,
)

from ckptstore.db.cell_types import CHECKED_BY_READER
from ckptstore.db.sql import checksums
from ckptstore.db.sql.lookups import equal_columns, is_visible, layout_entries, lookup_join, rows_with_keys, segment_lists, version_entries
from ckptstore.db.sql.tables import (
    CHANNEL,
    CHANNEL_WRITES_KEY,
    CHECKPOINT,
    CHECKPOINT_KEY,
    SEGMENT,
    SEGMENT_KEY,
    VERSION_KEY,
    WRITE,
)
from ckptstore.records import StateFormat


def newest(_database: str) -> Select[Any]:
    """The newest checkpoint of one namespace: ids sort by time."""
    return (
        select(CHECKPOINT)
        .where(CHECKPOINT.c.thread_id == bindparam("thread_id"), CHECKPOINT.c.checkpoint_ns == bindparam("checkpoint_ns"), is_visible())
        .order_by(CHECKPOINT.c.checkpoint_id.desc())
        .limit(literal_column("1"))
    )


def exact(_database: str) -> Select[Any]:
    """One checkpoint by its key."""
    return select(CHECKPOINT).where(*[CHECKPOINT.c[name] == bindparam(name) for name in CHECKPOINT_KEY], is_visible())


_NO_TEXT: ColumnElement[Any] = cast(null(), Text)
_NO_NUMBER: ColumnElement[Any] = cast(null(), BigInteger)

#: What a row of `whole` is.
KIND_CHECKPOINT = 0
KIND_CHANNEL = 1
KIND_WRITE = 2
KIND_PARENT_SEND = 3
KIND_SEGMENT = 4


def whole(database: str, target: Select[Any], state_format: StateFormat, *, with_segments: bool = True) -> CompoundSelect[Any]:
    """Checkpoints with their channels, writes and segments, in one statement and so in one snapshot.

    Each row starts with its kind and the key of its checkpoint; a channel version or a segment that several checkpoints share is
    returned once. Columns: kind, thread_id, checkpoint_ns, checkpoint_id, four texts, two numbers, type, bytes, checksum.

    Args:
        database: the dialect's name.
        target: selects the checkpoints.
        state_format: what their channels mean.
        with_segments: False for who has the segments: PostgreSQL takes a third of the time then.
    """
    wanted = target.cte("target")
    values = [
        _channels(database, wanted).cte("channels"),
        _writes(database, wanted).cte("writes"),
        _parent_sends(database, wanted, state_format).cte("sends"),
    ]
    segments = [_segments(database, values)] if with_segments else []
    return union_all(checkpoint_row(wanted, _visible_parent(wanted)), *[select(rows) for rows in values], *segments)


def _visible_parent(wanted: CTE) -> ColumnElement[Any]:
    """The id of a checkpoint's parent; null where that was deleted or hidden, or has not arrived.

    A scalar subquery, which both databases evaluate by the key, row by row: PostgreSQL might read the whole table for an EXISTS.
    """
    parent = CHECKPOINT.alias("parent")
    same = [*equal_columns(parent, wanted, ("thread_id", "checkpoint_ns")), parent.c.checkpoint_id == wanted.c.parent_checkpoint_id]
    return select(parent.c.checkpoint_id).where(*same, is_visible(parent)).scalar_subquery()


def _channels(database: str, wanted: CTE) -> Select[Any]:
    links = version_entries(database, wanted.c.channel_versions)
    versions = (
        select(wanted.c.thread_id, wanted.c.checkpoint_ns, links.c.key.label("channel"), links.c.value.label("version"))
        .select_from(wanted.join(links, literal_column("1" if database == "sqlite" else "true")))
        .distinct()
        .cte("versions")
    )
    joined, found = lookup_join(database, versions, CHANNEL, equal_columns(CHANNEL, versions, VERSION_KEY))
    return channel_row(found).select_from(joined)


def _writes(database: str, wanted: CTE) -> Select[Any]:
    joined, found = lookup_join(database, wanted, WRITE, equal_columns(WRITE, wanted, CHECKPOINT_KEY))
    return write_row(found).select_from(joined)


def _parent_sends(database: str, wanted: CTE, state_format: StateFormat) -> Select[Any]:
    # Literals, not parameters, so that planners can estimate how few rows match.
    of_parent = [
        *equal_columns(WRITE, wanted, ("thread_id", "checkpoint_ns")),
        WRITE.c.checkpoint_id == wanted.c.parent_checkpoint_id,
        WRITE.c.channel == literal_column(f"'{state_format.tasks_channel}'"),
    ]
    joined, found = lookup_join(database, wanted, WRITE, of_parent)
    in_parent = wanted.c.format < literal_column(str(state_format.first_format_with_own_tasks))
    return write_row(found, KIND_PARENT_SEND).select_from(joined).where(in_parent)


def _segments(database: str, values: Sequence[CTE]) -> Select[Any]:
    """The segments that the layouts of these values name, each once."""
    layouts = union_all(*[select(rows.c.thread_id, rows.c.layout).where(rows.c.layout.is_not(null())) for rows in values]).cte("layouts")
    layout = layouts.c.layout if database == "sqlite" else cast(layouts.c.layout, JSON)
    directly = _named(database, layouts, layout).cte("directly")
    joined, listed = lookup_join(database, directly, SEGMENT, equal_columns(SEGMENT, directly, SEGMENT_KEY))
    listing = segment_lists(database, select(listed).select_from(joined), listed).cte("listings")
    named = union(select(directly), _named(database, listing, listing.c.listing)).cte("named")
    joined, found = lookup_join(database, named, SEGMENT, equal_columns(SEGMENT, named, SEGMENT_KEY))
    return _row(
        KIND_SEGMENT,
        [found.c.thread_id, _NO_TEXT, _NO_TEXT],
        [found.c.digest, found.c.object_key, _NO_TEXT, _NO_TEXT],
        [_NO_NUMBER, found.c.size],
        [found.c.encoding, found.c.data, _NO_NUMBER],
    ).select_from(joined)


def _named(database: str, rows: CTE, names: ColumnElement[Any]) -> Select[Any]:
    """The digests in JSON arrays, each once per thread."""
    entries = layout_entries(database, names)
    joined = rows.join(entries, literal_column("1" if database == "sqlite" else "true"))
    return select(rows.c.thread_id, entries.c.value.label("digest")).select_from(joined).distinct()


def checkpoint_row(of: FromClause, visible_parent: ColumnElement[Any] = _NO_TEXT) -> Select[Any]:
    """Checkpoints, with the columns of `whole`."""
    return _row(
        KIND_CHECKPOINT,
        [of.c[name] for name in CHECKPOINT_KEY],
        [of.c.parent_checkpoint_id, cast(of.c.channel_versions, Text), cast(of.c.metadata, Text), visible_parent],
        [cast(of.c.format, BigInteger), cast(of.c.value_count, BigInteger)],
        [of.c.type, of.c.body, checksums.of_visible(of)],
    )


def channel_row(of: FromClause) -> Select[Any]:
    """Values of channels, with the columns of `whole`."""
    return _row(
        KIND_CHANNEL,
        [of.c.thread_id, of.c.checkpoint_ns, _NO_TEXT],
        [of.c.channel, of.c.version, _NO_TEXT, cast(of.c.layout, Text)],
        [_NO_NUMBER, of.c.size],
        [of.c.type, of.c.value, of.c.checksum],
    )


def write_row(of: FromClause, kind: int = KIND_WRITE) -> Select[Any]:
    """Tasks' writes, with the columns of `whole`."""
    return _row(
        kind,
        [of.c[name] for name in CHECKPOINT_KEY],
        [of.c.task_id, of.c.channel, of.c.task_path, cast(of.c.layout, Text)],
        [of.c.idx, of.c.size],
        [of.c.type, of.c.value, of.c.checksum],
    )


def _row(kind: int, key: Sequence[Any], texts: Sequence[Any], numbers: Sequence[Any], value: Sequence[Any]) -> Select[Any]:
    names = (*CHECKPOINT_KEY, "text_1", "text_2", "text_3", "layout", "number", "size", "type", "value", "checksum")
    columns = [column.label(name) for name, column in zip(names, (*key, *texts, *numbers, *value), strict=True)]
    return select(literal_column(str(kind)).label("kind"), *columns).execution_options(**CHECKED_BY_READER)


def newest_whole(database: str, state_format: StateFormat) -> CompoundSelect[Any]:
    """The newest checkpoint of a namespace, whole."""
    return whole(database, newest(database), state_format)


def newest_without_segments(database: str, state_format: StateFormat) -> CompoundSelect[Any]:
    """The newest checkpoint of a namespace, see `whole`."""
    return whole(database, newest(database), state_format, with_segments=False)


def exact_whole(database: str, state_format: StateFormat) -> CompoundSelect[Any]:
    """One checkpoint by its key, whole."""
    return whole(database, exact(database), state_format)


def exact_without_segments(database: str, state_format: StateFormat) -> CompoundSelect[Any]:
    """One checkpoint by its key, see `whole`."""
    return whole(database, exact(database), state_format, with_segments=False)


def named_whole(database: str, state_format: StateFormat) -> CompoundSelect[Any]:
    """The checkpoints given as keys, whole."""
    joined, found = rows_with_keys(database, CHECKPOINT, CHECKPOINT_KEY)
    return whole(database, select(found).select_from(joined).where(is_visible(found)), state_format)


def ancestors(_database: str) -> Select[Any]:
    """A checkpoint and its ancestors by parent links, up to `page_size`, hidden ones too. A cycle ends the walk. Columns as of `whole`."""
    in_namespace = [CHECKPOINT.c.thread_id == bindparam("thread_id"), CHECKPOINT.c.checkpoint_ns == bindparam("checkpoint_ns")]
    columns = checkpoint_row(CHECKPOINT)
    first = columns.where(*in_namespace, CHECKPOINT.c.checkpoint_id == bindparam("checkpoint_id"))
    walk = first.cte("walk", recursive=True)
    # UNION, not UNION ALL: it drops repeated rows, which ends a cycle.
    walk = walk.union(columns.where(*in_namespace, CHECKPOINT.c.checkpoint_id == walk.c.text_1))
    return select(*walk.c).limit(bindparam("page_size", type_=BigInteger)).execution_options(**CHECKED_BY_READER)


def newest_id(_database: str) -> Select[Any]:
    """The id of the newest checkpoint of a namespace."""
    in_namespace = [CHECKPOINT.c.thread_id == bindparam("thread_id"), CHECKPOINT.c.checkpoint_ns == bindparam("checkpoint_ns")]
    return select(func.max(CHECKPOINT.c.checkpoint_id)).where(*in_namespace, is_visible())


def stored_among(database: str) -> Select[Any]:
    """Those of the given channel versions that have a stored value: (channel, version)."""
    joined, found = rows_with_keys(database, CHANNEL, VERSION_KEY)
    return select(found.c.channel, found.c.version).select_from(joined)


def channel_values(database: str) -> Select[Any]:
    """The channel versions given as keys, with the columns of `whole`."""
    joined, found = rows_with_keys(database, CHANNEL, VERSION_KEY)
    return channel_row(found).select_from(joined)


def segments(database: str) -> Select[Any]:
    """The segments given as keys: digest, object, size, encoding, bytes."""
    joined, found = rows_with_keys(database, SEGMENT, SEGMENT_KEY)
    return select(found.c.digest, found.c.object_key, found.c.size, found.c.encoding, found.c.data).select_from(joined)


def stored_versions(_database: str) -> Select[Any]:
    """Namespace, channel and version of every stored value of a thread."""
    return select(CHANNEL.c.checkpoint_ns, CHANNEL.c.channel, CHANNEL.c.version).where(CHANNEL.c.thread_id == bindparam("thread_id"))


def channel_writes(database: str) -> Select[Any]:
    """The writes to the channels given, at the checkpoints given: keys are (thread, namespace, checkpoint, channel).

    Columns as of `whole`.
    """
    joined, found = rows_with_keys(database, WRITE, CHANNEL_WRITES_KEY)
    return write_row(found).select_from(joined)


def metadata_of_thread(_database: str) -> Select[Any]:
    """Namespace, id and metadata of a thread's visible checkpoints."""
    c = CHECKPOINT.c
    return select(c.checkpoint_ns, c.checkpoint_id, cast(c.metadata, Text)).where(c.thread_id == bindparam("thread_id"), is_visible())


def metadata_page(database: str) -> Select[Any]:
    """Like `metadata_of_thread`, in the order of namespace and id: up to `page_size` after the parameters `after_*`."""
    names = ("checkpoint_ns", "checkpoint_id")
    after = tuple_(*[bindparam(f"after_{name}", type_=Text()) for name in names])
    columns = [CHECKPOINT.c[name] for name in names]
    page = metadata_of_thread(database).where(tuple_(*columns) > after).order_by(*columns)
    return page.limit(bindparam("page_size", type_=BigInteger))


def visible_refs(_database: str) -> Select[Any]:
    """Namespace, id and bytes of the metadata of a thread's visible checkpoints, newest first."""
    c = CHECKPOINT.c
    # SQLite keeps NULL out of no column of a file that was altered.
    size = func.coalesce(func.length(cast(c.metadata, Text)), literal_column("0"))
    of_thread = select(c.checkpoint_ns, c.checkpoint_id, size).where(c.thread_id == bindparam("thread_id"), is_visible())
    return of_thread.order_by(c.checkpoint_id.desc(), c.checkpoint_ns.desc())
