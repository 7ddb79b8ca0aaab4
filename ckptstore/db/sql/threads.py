"""Pages of threads: their rows, found by activity, by id, or by the tags of their checkpoints."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, Select, Text, bindparam, cast, literal_column, select, tuple_

from ckptstore.db.sql.lookups import equal_columns, exists_for_row, is_visible, lookup_join
from ckptstore.db.sql.pages import Shape, collected, has_posting, text_list
from ckptstore.db.sql.tables import CHECKPOINT, THREAD


def page_of_threads(database: str, order_by: str, shape: Shape) -> Select[Any]:
    """Up to `page_size` threads.

    Args:
        database: the dialect's name.
        order_by: `updated_at` for the most recently active first, or `thread_id` for the order of the ids.
        shape: which threads: one checkpoint of the thread has to satisfy its conditions. With the source `checkpoints`, threads are read in
            the order; every other source collects thread ids first. With `after` given, the page starts after the parameters
            `after_updated_at` and `after_thread_id`.
    """
    joined: FromClause = THREAD
    threads: FromClause = THREAD
    if shape.source != "checkpoints":
        found = collected(database, shape.source)
        ids = select(found.c.thread_id).where(*_tags_of(database, shape, found)).distinct().subquery("ids")
        joined, threads = lookup_join(database, ids, THREAD, equal_columns(THREAD, ids, ["thread_id"]))
    c = threads.c
    columns = (c.thread_id, cast(c.created_at, BigInteger), cast(c.updated_at, BigInteger), c.checkpoint_count, c.size)
    query = select(*columns).select_from(joined)
    if shape.source == "checkpoints" and (shape.required or shape.forbidden):
        of_thread: Select[Any] = select(literal_column("1")).select_from(CHECKPOINT).where(CHECKPOINT.c.thread_id == c.thread_id)
        query = query.where(exists_for_row(database, of_thread.where(*_conditions(database, shape))))
    after = [bindparam("after_updated_at", type_=BigInteger), bindparam("after_thread_id", type_=Text())]
    if order_by == "updated_at":
        query = query.order_by(c.updated_at.desc(), c.thread_id.desc())
        query = query.where(tuple_(c.updated_at, c.thread_id) < tuple_(*after)) if "after" in shape.given else query
    else:
        query = query.order_by(c.thread_id)
        query = query.where(c.thread_id > after[1]) if "after" in shape.given else query
    return query.limit(bindparam("page_size", type_=BigInteger))


def metadata_of_threads(database: str, shape: Shape) -> Select[Any]:
    """Thread and metadata of those checkpoints of the threads in `threads` that satisfy the conditions on tags."""
    given = text_list(database, "threads").subquery("given")
    on = [CHECKPOINT.c.thread_id == given.c[0], *_conditions(database, shape)]
    joined, found = lookup_join(database, given, CHECKPOINT, on, ["thread_id", "metadata"])
    return select(found.c.thread_id, cast(found.c.metadata, Text)).select_from(joined)


def _conditions(database: str, shape: Shape) -> list[ColumnElement[bool]]:
    return [is_visible(), *_tags_of(database, shape, CHECKPOINT)]


def _tags_of(database: str, shape: Shape, of: FromClause) -> list[ColumnElement[bool]]:
    """The conditions on a checkpoint's tags; a hidden checkpoint has none."""
    has = [has_posting(database, of, f"has_{number}", several=several) for number, several in enumerate(shape.required)]
    return [*has, *[~has_posting(database, of, f"excluded_{number}") for number in range(shape.forbidden)]]
