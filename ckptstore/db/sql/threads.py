"""Statements on the rows of threads: they lock one, count what belongs to it, delete it, or read a page of them.

A page is found by activity, by id, or by the tags of the threads' checkpoints.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Delete,
    FromClause,
    Select,
    Text,
    Update,
    bindparam,
    cast,
    column,
    delete,
    exists,
    func,
    literal_column,
    select,
    table,
    tuple_,
    update,
)

from ckptstore.db.sql.key_columns import KeyColumns, key_in
from ckptstore.db.sql.lookups import equal_columns, exists_for_row, is_visible, lookup_join
from ckptstore.db.sql.pages import Shape
from ckptstore.db.sql.parameters import keys_table
from ckptstore.db.sql.postings import collected, has_posting, text_list
from ckptstore.db.sql.tables import CHECKPOINT, CHECKPOINT_KEY, THREAD, WRITE
from ckptstore.db.sql.tag_layouts import index_of

_PAGE_SIZE = bindparam("page_size", type_=BigInteger)


def thread_stamp(_database: str) -> Select[Any]:
    """Values that change with every checkpoint that is added or deleted, and, to within a second, with every write."""
    c = THREAD.c
    return select(c.generation, c.checkpoint_count, cast(c.updated_at, BigInteger)).where(c.thread_id == bindparam("thread_id"))


def lock_thread(database: str) -> Select[Any]:
    """The thread's row, locked until the transaction ends (SQLite's transactions lock everything anyway)."""
    return thread_stamp(database).with_for_update()


def lock_free_thread(database: str) -> Select[Any]:
    """Like `lock_thread`, without waiting (PostgreSQL): no bound of this server's applies to waiting for a row that another node has."""
    return thread_stamp(database).with_for_update(nowait=True)


def recount(_database: str) -> Update:
    """Recount a thread's checkpoints and their sizes, and increment its generation, since values may have been deleted."""
    of_thread = [CHECKPOINT.c.thread_id == bindparam("thread_id"), is_visible()]
    count = select(func.count()).select_from(CHECKPOINT).where(*of_thread).scalar_subquery()
    size = select(func.coalesce(cast(func.sum(CHECKPOINT.c.size), BigInteger), literal_column("0"))).where(*of_thread).scalar_subquery()
    return (
        update(THREAD)
        .where(THREAD.c.thread_id == bindparam("thread_id"))
        .values(checkpoint_count=count, size=size, generation=THREAD.c.generation + literal_column("1"))
    )


def subtract_deleted(_database: str) -> Update:
    """Subtract deleted checkpoints from the thread's counters, and increment its generation."""
    counters = {name: THREAD.c[name] - bindparam(name, type_=BigInteger) for name in ("checkpoint_count", "size")}
    next_generation = THREAD.c.generation + literal_column("1")
    return update(THREAD).where(THREAD.c.thread_id == bindparam("thread_id")).values(generation=next_generation, **counters)


def delete_empty_thread(_database: str) -> Delete:
    """Delete the thread's own row if it has no checkpoint and no write left."""
    empty = [~exists().where(table.c.thread_id == THREAD.c.thread_id) for table in (CHECKPOINT, WRITE)]
    return delete(THREAD).where(THREAD.c.thread_id == bindparam("thread_id"), *empty)


def threads_after(_database: str) -> Select[Any]:
    """Ids of threads after `after`, in order."""
    after = THREAD.c.thread_id > bindparam("after", type_=Text())
    return select(THREAD.c.thread_id).where(after).order_by(THREAD.c.thread_id).limit(_PAGE_SIZE)


def tables_among(database: str) -> Select[Any]:
    """Those of the given names that are tables of the schema `schema`, or, if it is null, of the connection's own."""
    given = keys_table(database, ("name",))
    if database == "sqlite":
        names: Select[Any] = select(column("name")).select_from(table("sqlite_master")).where(column("type") == literal_column("'table'"))
    else:
        in_schema = func.coalesce(bindparam("schema", type_=Text()), func.current_schema())
        tables = table("pg_tables", column("tablename"), column("schemaname"), schema="pg_catalog")
        names = select(tables.c.tablename).where(cast(tables.c.schemaname, Text) == cast(in_schema, Text))
    return select(given.c.name).where(given.c.name.in_(names))


def page_of_threads(database: str, order_by: str, shape: Shape) -> Select[Any]:
    """Up to `page_size` threads.

    Args:
        database: the dialect's name.
        order_by: `updated_at` for the most recently active first, or `thread_id` for the order of the ids.
        shape: which threads: one checkpoint of the thread has to satisfy its conditions. With the source `checkpoints`, threads are read in
            the order; every other source collects thread ids first, and with `threads` they are given, in `source_threads`. With `after`
            given, the page starts after the parameters `after_updated_at` and `after_thread_id`. Of the thread's own row, `part` (of its
            id), `active_since`, `active_before` and `least_size` may be given.
    """
    joined: FromClause = THREAD
    threads: FromClause = THREAD
    number: ColumnElement[int] | None = None
    if shape.source != "checkpoints":
        ids = _thread_ids(database, shape).subquery("ids")
        joined, threads = lookup_join(database, ids, THREAD, equal_columns(THREAD, ids, ["thread_id"]))
    elif shape.required:
        joined, number = index_of(database).with_number(THREAD)
    c = threads.c
    columns = (c.thread_id, cast(c.created_at, BigInteger), cast(c.updated_at, BigInteger), c.checkpoint_count, c.size)
    query = select(*columns).select_from(joined)
    if shape.source == "checkpoints" and (shape.required or shape.forbidden):
        key = key_in(CHECKPOINT)._replace(thread_no=number)
        of_thread: Select[Any] = select(literal_column("1")).select_from(CHECKPOINT).where(CHECKPOINT.c.thread_id == c.thread_id)
        query = query.where(exists_for_row(database, of_thread.where(is_visible(), *_tags_of(database, shape, key))))
    query = query.where(*_row_conditions(database, shape, c))
    after = [bindparam("after_updated_at", type_=BigInteger), bindparam("after_thread_id", type_=Text())]
    if order_by == "updated_at":
        query = query.order_by(c.updated_at.desc(), c.thread_id.desc())
        query = query.where(tuple_(c.updated_at, c.thread_id) < tuple_(*after)) if "after" in shape.given else query
    else:
        query = query.order_by(c.thread_id)
        query = query.where(c.thread_id > after[1]) if "after" in shape.given else query
    return query.limit(_PAGE_SIZE)


def _row_conditions(database: str, shape: Shape, of: Any) -> list[ColumnElement[bool]]:
    """The given conditions on a thread's own row."""
    part = bindparam("part", type_=Text())
    found = func.instr(of.thread_id, part) if database == "sqlite" else func.strpos(of.thread_id, part)
    conditions: dict[str, ColumnElement[bool]] = {
        "part": found > literal_column("0"),
        "active_since": cast(of.updated_at, BigInteger) >= bindparam("active_since", type_=BigInteger),
        "active_before": cast(of.updated_at, BigInteger) < bindparam("active_before", type_=BigInteger),
        "least_size": of.size >= bindparam("least_size", type_=BigInteger),
    }
    return [condition for name, condition in conditions.items() if name in shape.given]


def _thread_ids(database: str, shape: Shape) -> Select[Any]:
    if shape.source == "threads":
        given = text_list(database, "source_threads").subquery("given")
        return select(given.c[0].label("thread_id"))
    index = index_of(database)
    if not (shape.required or shape.forbidden):
        # Nothing else is asked of the checkpoints, so which of a thread's they are does not matter.
        return index.thread_ids(collected(database, shape.source, ("thread_id",)))
    rows, key = index.with_threads(collected(database, shape.source))
    return select(key.thread_id).select_from(rows).where(*_tags_of(database, shape, key)).distinct()


def metadata_of_threads(database: str, shape: Shape) -> Select[Any]:
    """Key and metadata of those checkpoints of the threads in `threads` that satisfy the conditions on tags."""
    given = text_list(database, "threads").subquery("given")
    on = [CHECKPOINT.c.thread_id == given.c[0], is_visible(), *_tags_of(database, shape, key_in(CHECKPOINT))]
    joined, found = lookup_join(database, given, CHECKPOINT, on, [*CHECKPOINT_KEY, "metadata"])
    return select(*[found.c[name] for name in CHECKPOINT_KEY], cast(found.c.metadata, Text)).select_from(joined)


def _tags_of(database: str, shape: Shape, of: KeyColumns) -> list[ColumnElement[bool]]:
    """The conditions on a checkpoint's tags; a hidden checkpoint has none."""
    has = [has_posting(database, of, f"has_{number}", several=several) for number, several in enumerate(shape.required)]
    return [*has, *[~has_posting(database, of, f"excluded_{number}") for number in range(shape.forbidden)]]
