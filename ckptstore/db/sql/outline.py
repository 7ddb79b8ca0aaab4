"""Statements that outline a thread: its checkpoints without their values, with counts of what tasks wrote."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, Select, Text, bindparam, cast, func, literal_column, select

from ckptstore.db.sql.lookups import equal_columns, is_visible, rows_with_keys
from ckptstore.db.sql.pages import ORDER, Shape, page
from ckptstore.db.sql.tables import CHECKPOINT, CHECKPOINT_KEY, THREAD, WRITE


def thread(_database: str) -> Select[Any]:
    """One thread: id, times in microseconds, number of checkpoints, size."""
    c = THREAD.c
    columns = (c.thread_id, cast(c.created_at, BigInteger), cast(c.updated_at, BigInteger), c.checkpoint_count, c.size)
    return select(*columns).where(c.thread_id == bindparam("thread_id"))


def page_of_checkpoints(database: str, shape: Shape) -> Select[Any]:
    """A page of a thread's checkpoints, newest first.

    Columns: namespace, id, id of the parent, whether the parent is hidden (null if there is none in the table), time in microseconds, size,
    type tag, metadata, channel versions.
    """
    found = page(database, shape).subquery("found")
    c = found.c
    return select(
        c.checkpoint_ns, c.checkpoint_id, c.parent_checkpoint_id, _is_parent_hidden(found), cast(c.created_at, BigInteger),
        c.size, c.type, cast(c.metadata, Text), cast(c.channel_versions, Text),
    ).order_by(*[c[name].desc() for name in ORDER])  # fmt: skip


def _is_parent_hidden(of: FromClause) -> ColumnElement[Any]:
    """See `checkpoints.whole`, whose parents are found in the same way."""
    parent = CHECKPOINT.alias("parent")
    same = [*equal_columns(parent, of, ("thread_id", "checkpoint_ns")), parent.c.checkpoint_id == of.c.parent_checkpoint_id]
    return select(parent.c.hidden).where(*same).scalar_subquery()


def writes_of_checkpoints(database: str) -> Select[Any]:
    """For each of the checkpoints given as keys and each channel: how many writes and tasks wrote to it, and their bytes."""
    joined, found = rows_with_keys(database, WRITE, CHECKPOINT_KEY)
    c = found.c
    groups = (c.checkpoint_ns, c.checkpoint_id, c.channel)
    size = cast(func.sum(c.size), BigInteger)
    return select(*groups, func.count(), func.count(c.task_id.distinct()), size).select_from(joined).group_by(*groups).order_by(c.channel)


def checkpoints_from(_database: str, in_namespace: bool) -> Select[Any]:
    """Namespace and id of those visible checkpoints of a thread whose ids lie between `first` and `last`: two at most.

    Args:
        in_namespace: only of the namespace `checkpoint_ns`.
    """
    c = CHECKPOINT.c
    query = select(c.checkpoint_ns, c.checkpoint_id).where(c.thread_id == bindparam("thread_id"), is_visible())
    if in_namespace:
        query = query.where(c.checkpoint_ns == bindparam("checkpoint_ns"))
    within = query.where(c.checkpoint_id >= bindparam("first", type_=Text()), c.checkpoint_id < bindparam("last", type_=Text()))
    return within.order_by(c.checkpoint_ns, c.checkpoint_id).limit(literal_column("2"))
