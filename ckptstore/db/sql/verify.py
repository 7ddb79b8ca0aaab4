"""Statements of a verification: pages of segments and objects, and segments that a layout names and that do not exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    tuple_,
    union,
    union_all,
)

from ckptstore.db.cell_types import stored_type
from ckptstore.db.sql import numbered_rows
from ckptstore.db.sql.checkpoints import channel_row, checkpoint_row, write_row
from ckptstore.db.sql.copy import payload_bytes
from ckptstore.db.sql.lookups import OrderedJoin, equal_columns, exists_for_row, is_visible, layout_entries, rows_with_keys, version_entries
from ckptstore.db.sql.objects import is_referred_to
from ckptstore.db.sql.parameters import keys_table
from ckptstore.db.sql.routing import SCATTERED
from ckptstore.db.sql.tables import (
    CHANNEL,
    CHECKPOINT,
    CHECKPOINT_KEY,
    OBJECT,
    OBJECT_KEY,
    POSTING,
    SEGMENT,
    SEGMENT_KEY,
    TAG,
    TAG_KEY,
    TAG_THREAD,
    THREAD,
    WRITE,
)
from ckptstore.db.sql.tag_layouts import has_numbers

_PAGE_SIZE = bindparam("page_size", type_=BigInteger)
# The length of the shortest digest ever stored; no count of bytes in a layout has so many digits.
_SHORTEST_DIGEST = 27


def _in_state(state: str) -> ColumnElement[bool]:
    return OBJECT.c.state == literal_column(f"'{state}'")


def segments_after(_database: str, with_data: bool) -> Select[Any]:
    """Segments after a given key, in the order of thread and digest, with the state of their object's row.

    Columns: thread, digest, object key, size, encoding, state of the object (null if no row has its key), whether the database
    has the bytes, and the bytes: always for lists, for other segments only `with_data`.
    """
    columns = (SEGMENT.c.thread_id, SEGMENT.c.digest, SEGMENT.c.object_key, SEGMENT.c.size, SEGMENT.c.encoding)
    is_list = SEGMENT.c.encoding == literal_column("'list'")
    data = SEGMENT.c.data if with_data else case((is_list, SEGMENT.c.data), else_=null())
    after = tuple_(bindparam("after_thread_id", type_=Text()), bindparam("after_digest", type_=Text()))
    return (
        select(*columns, OBJECT.c.state, SEGMENT.c.data.is_not(null()).label("held"), data.label("data"))
        .select_from(SEGMENT.outerjoin(OBJECT, OBJECT.c.key == SEGMENT.c.object_key))
        .where(tuple_(SEGMENT.c.thread_id, SEGMENT.c.digest) > after)
        .order_by(SEGMENT.c.thread_id, SEGMENT.c.digest)
        .limit(_PAGE_SIZE)
    )


def segments_among(database: str) -> Select[Any]:
    """Those of the given segments that exist: (thread, digest)."""
    given_keys = keys_table(database, SEGMENT_KEY)
    return select(SEGMENT.c.thread_id, SEGMENT.c.digest).join(given_keys, and_(*equal_columns(SEGMENT, given_keys, SEGMENT_KEY)))


def missing_segments(database: str) -> Select[Any]:
    """(thread, digest) of the segments that a layout names and that do not exist, in the threads after `after` up to `last`.

    One statement and so one snapshot: a concurrent prune deletes segments together with the layouts that name them.
    """
    named = union_all(*[_named(database, table) for table in (CHANNEL, WRITE)]).subquery("named")
    stored = exists().where(SEGMENT.c.thread_id == named.c.thread_id, SEGMENT.c.digest == named.c.digest)
    return select(named.c.thread_id, named.c.digest).where(~stored).distinct()


def _named(database: str, table: Any) -> Select[Any]:
    entries = layout_entries(database, table.c.layout)
    digest = entries.c.value
    first = func.substr(digest, literal_column("1"), literal_column("1"))
    return (
        select(table.c.thread_id, digest.label("digest"))
        .select_from(table.join(entries, literal_column("1" if database == "sqlite" else "true")))
        .where(table.c.thread_id > bindparam("after", type_=Text()), table.c.thread_id <= bindparam("last", type_=Text()))
        .where(table.c.layout.is_not(null()), func.length(digest) >= literal_column(str(_SHORTEST_DIGEST)))
        # A reference to a blob may name no segment: any text of a user may look like a handle.
        .where(first != literal_column("'@'"))
    )


def incomplete_checkpoints(database: str) -> Select[Any]:
    """Keys of the visible checkpoints that have fewer values than they were stored with, in the threads after `after` up to `last`.

    One statement and so one snapshot: a prune hides checkpoints in the transaction that deletes their values.
    """
    c = CHECKPOINT.c
    links = version_entries(database, c.channel_versions)
    if database == SCATTERED:
        return _with_fewer_values(links)
    key = {"thread_id": c.thread_id, "checkpoint_ns": c.checkpoint_ns, "channel": links.c.key, "version": links.c.value}
    value: Select[Any] = select(literal_column("1")).select_from(CHANNEL).where(*[CHANNEL.c[name] == key[name] for name in key])
    # By itself a subquery correlates with the next one around it only, and would look into all checkpoints.
    stored = exists_for_row(database, value.correlate_except(CHANNEL))
    found = select(func.count()).select_from(links).where(stored).correlate(CHECKPOINT).scalar_subquery()
    return (
        select(c.thread_id, c.checkpoint_ns, c.checkpoint_id)
        .where(c.thread_id > bindparam("after", type_=Text()), c.thread_id <= bindparam("last", type_=Text()))
        .where(is_visible(), c.value_count > found)
    )


def _with_fewer_values(links: FromClause) -> Select[Any]:
    """See `incomplete_checkpoints`, for every shard: Citus executes no subquery for each of the entries."""
    c = CHECKPOINT.c
    same = [*equal_columns(CHANNEL, CHECKPOINT, ("thread_id", "checkpoint_ns")), CHANNEL.c.channel == links.c.key]
    values = and_(*same, CHANNEL.c.version == links.c.value)
    key = [c[name] for name in CHECKPOINT_KEY]
    return (
        select(*key)
        .select_from(CHECKPOINT.outerjoin(links, literal_column("true")).outerjoin(CHANNEL, values))
        .where(c.thread_id > bindparam("after", type_=Text()), c.thread_id <= bindparam("last", type_=Text()), is_visible())
        .group_by(*key, c.value_count)
        .having(c.value_count > func.count(CHANNEL.c.version))
    )


def wrong_counts(_database: str) -> CompoundSelect[Any]:
    """Threads after `after` up to `last` that have other checkpoints than their row counts, or no row.

    One statement and so one snapshot: a checkpoint is stored, and deleted, together with its count.
    """
    between = (bindparam("after", type_=Text()), bindparam("last", type_=Text()))
    of_thread = [CHECKPOINT.c.thread_id == THREAD.c.thread_id, is_visible()]
    count = select(func.count()).select_from(CHECKPOINT).where(*of_thread).correlate(THREAD).scalar_subquery()
    counted = select(THREAD.c.thread_id).where(
        THREAD.c.thread_id > between[0], THREAD.c.thread_id <= between[1], THREAD.c.checkpoint_count != count
    )
    has_row = exists().where(THREAD.c.thread_id == CHECKPOINT.c.thread_id)
    rowless = select(CHECKPOINT.c.thread_id).where(CHECKPOINT.c.thread_id > between[0], CHECKPOINT.c.thread_id <= between[1], ~has_row)
    return union(counted, rowless)


def metadata_after(_database: str) -> Select[Any]:
    """Key and metadata of visible checkpoints after a key (`after_` and the name of each column), in the order of their keys."""
    key = [CHECKPOINT.c[name] for name in CHECKPOINT_KEY]
    after = tuple_(*[bindparam(f"after_{name}", type_=Text()) for name in CHECKPOINT_KEY])
    return select(*key, cast(CHECKPOINT.c.metadata, Text)).where(tuple_(*key) > after, is_visible()).order_by(*key).limit(_PAGE_SIZE)


def tags_among(database: str) -> Select[Any]:
    """Those of the given tags that exist."""
    if has_numbers(database):
        return numbered_rows.tags_among()
    if database != "sqlite":
        joined, found = rows_with_keys(database, TAG, TAG_KEY)
        return select(*[found.c[name] for name in TAG_KEY]).select_from(joined)
    given = keys_table(database, TAG_KEY)
    numbered = OrderedJoin(given, TAG_THREAD, TAG_THREAD.c.thread_id == given.c.thread_id)
    same = [POSTING.c.thread_no == TAG_THREAD.c.number, *[POSTING.c[name] == given.c[name] for name in TAG_KEY if name != "thread_id"]]
    return select(*[given.c[name] for name in TAG_KEY]).select_from(OrderedJoin(numbered, POSTING, and_(*same)))


def rows_after(_database: str, table: Table) -> Select[Any]:
    """Rows of checkpoints, values or writes after a given key (`after_` and the name of each column), with the columns of `whole`."""
    shapes: dict[Table, Callable[[FromClause], Select[Any]]] = {CHECKPOINT: checkpoint_row, CHANNEL: channel_row, WRITE: write_row}
    return _page_after(shapes[table](table), table)


def sizes_after(_database: str, table: Table) -> Select[Any]:
    """The bytes of the payloads of such rows, or of segments."""
    return _page_after(select(payload_bytes(table)), table)


def _page_after(rows: Select[Any], table: Table) -> Select[Any]:
    key = [*table.primary_key]
    after = tuple_(*[bindparam(f"after_{column.name}", type_=column.type) for column in key])
    return rows.where(tuple_(*key) > after).order_by(*key).limit(_PAGE_SIZE)


def registered_objects(_database: str) -> Select[Any]:
    """Key, digest, size and state of the registered objects after a key, in the order of their keys."""
    return (
        select(OBJECT.c.key, OBJECT.c.digest, OBJECT.c.size, OBJECT.c.state)
        .where(OBJECT.c.key > bindparam("after", type_=Text()))
        .order_by(OBJECT.c.key)
        .limit(_PAGE_SIZE)
    )


def registered_among(database: str) -> Select[Any]:
    """Those of the given keys that are keys of registered objects."""
    given_keys = keys_table(database, OBJECT_KEY)
    return select(OBJECT.c.key).where(OBJECT.c.key.in_(select(given_keys.c.key)))


def needed_among(database: str) -> Select[Any]:
    """Those of the given keys whose objects must exist: live ones, and marked ones that something refers to."""
    given_keys = keys_table(database, OBJECT_KEY)
    needed = or_(_in_state("live"), and_(_in_state("marked"), is_referred_to(database)))
    return select(OBJECT.c.key).where(OBJECT.c.key.in_(select(given_keys.c.key)), needed)


def wrong_cells(_database: str, table: Table) -> Select[Any]:
    """For each column of a table, how many of its cells have another type than the column: one row (SQLite)."""
    return select(*[func.sum(case((_has_own_type(column), literal_column("0")), else_=literal_column("1"))) for column in table.columns])


def _has_own_type(column: Column[Any]) -> ColumnElement[bool]:
    stored = stored_type(column)
    name = "integer" if stored is int else "blob" if stored is bytes else "text"
    is_own = func.typeof(column) == literal_column(f"'{name}'")
    return or_(is_own, column.is_(null())) if column.nullable else is_own
