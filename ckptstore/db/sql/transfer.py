"""Statements that read whole threads for a transfer to another store, as rows that can be inserted there as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Delete,
    FromClause,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    literal_column,
    null,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.sql.dml import Update

from ckptstore.db.sql.lookups import equal_columns, is_visible, lookup_join, raw_columns
from ckptstore.db.sql.parameters import keys_table
from ckptstore.db.sql.routing import SCATTERED
from ckptstore.db.sql.tables import CHANNEL, CHECKPOINT, OBJECT, OBJECT_KEY, SEGMENT, SETTING, THREAD, WRITE

#: The tables of a thread's rows, without the thread's own and its tags: those that name segments before the segments.
THREAD_TABLES = (CHANNEL, WRITE, CHECKPOINT, SEGMENT)
_PAYLOADS = {SEGMENT: "data", CHANNEL: "value", WRITE: "value", CHECKPOINT: "body"}
_PAGE_SIZE = bindparam("page_size", type_=BigInteger)
_THREAD_ID = ("thread_id",)


def key_in_thread(table: Table) -> tuple[str, ...]:
    """The columns of a table's key after the thread id."""
    return tuple(column.name for column in table.primary_key if column.name != "thread_id")


def _length(table: FromClause, payload: str) -> ColumnElement[int]:
    """Bytes of a row's payload. Neither database reads the payload for it."""
    return func.coalesce(func.length(table.c[payload]), literal_column("0"))


def page_of_threads(_database: str, given: frozenset[str]) -> Select[Any]:
    """The next rows of threads in the order of their ids, with all columns, after `after`.

    Args:
        _database: the dialect's name.
        given: `since` if only those are wanted that were written to at or after this time.
    """
    rows = select(*raw_columns(THREAD)).where(THREAD.c.thread_id > bindparam("after", type_=Text()))
    if "since" in given:
        rows = rows.where(THREAD.c.updated_at >= bindparam("since", type_=BigInteger))
    return rows.order_by(THREAD.c.thread_id).limit(_PAGE_SIZE)


def totals_of_threads(_database: str) -> Any:
    """How many threads there are, how many visible checkpoints they have, and their sizes together."""
    sums = [cast(func.coalesce(func.sum(column), literal_column("0")), BigInteger) for column in (THREAD.c.checkpoint_count, THREAD.c.size)]
    return select(func.count(), *sums).select_from(THREAD)


def given_threads(database: str) -> Select[Any]:
    """The rows of the given threads, with all columns."""
    given = keys_table(database, _THREAD_ID)
    joined, found = lookup_join(database, given, THREAD, equal_columns(THREAD, given, _THREAD_ID))
    return select(*raw_columns(found)).select_from(joined)


def rows_of_threads(database: str, table: Table) -> Select[Any]:
    """All rows of the given threads, with all columns."""
    given = keys_table(database, _THREAD_ID)
    joined, found = lookup_join(database, given, table, equal_columns(table, given, _THREAD_ID))
    return select(*raw_columns(found)).select_from(joined)


def sizes_of_threads(database: str) -> Any:
    """For each table, how many rows the given threads have in it, and how many bytes of payload."""
    return union_all(*[_size_of_threads(database, table) for table in THREAD_TABLES])


def _size_of_threads(database: str, table: Table) -> Any:
    given = keys_table(database, _THREAD_ID)
    joined, found = lookup_join(database, given, table, equal_columns(table, given, _THREAD_ID), ["thread_id", _PAYLOADS[table]])
    total = cast(func.coalesce(func.sum(_length(found, _PAYLOADS[table])), literal_column("0")), BigInteger)
    return select(func.count().label("rows"), total.label("bytes")).select_from(joined)


def marks_page(_database: str, table: Table) -> Select[Any]:
    """The next rows of one thread in the order of their keys, without payload: key within the thread, bytes, checksum.

    Parameters: `thread_id`, `after_<column>` and `page_size`.
    """
    names = key_in_thread(table)
    checksum = table.c.checksum if "checksum" in table.c else cast(null(), BigInteger)
    columns = [table.c[name] for name in names]
    rows = select(*columns, _length(table, _PAYLOADS[table]).label("bytes"), checksum.label("checksum"))
    return rows.where(_of_thread(table), _key(table) > _bounds(table, "after")).order_by(*columns).limit(_PAGE_SIZE)


def rows_between(_database: str, table: Table) -> Select[Any]:
    """The rows of one thread from one key to another (`first_<column>` and `last_<column>`, both included), with all columns."""
    within = [_of_thread(table), _key(table) >= _bounds(table, "first"), _key(table) <= _bounds(table, "last")]
    return select(*raw_columns(table)).where(*within).order_by(*[table.c[name] for name in key_in_thread(table)])


def _of_thread(table: Table) -> ColumnElement[bool]:
    return table.c.thread_id == bindparam("thread_id", type_=Text())


def _key(table: Table) -> Any:
    return tuple_(*[table.c[name] for name in key_in_thread(table)])


def _bounds(table: Table, prefix: str) -> Any:
    return tuple_(*[bindparam(f"{prefix}_{name}", type_=table.c[name].type) for name in key_in_thread(table)])


def delete_rows(database: str, table: Table) -> Delete:
    """Delete the rows of one thread with the given keys within it (parameters of `keys_table`)."""
    names = key_in_thread(table)
    given = keys_table(database, names)
    columns = {name: given.c[name] if name != "idx" else cast(given.c[name], BigInteger) for name in names}
    same = [table.c[name] == column for name, column in columns.items()]
    if database == "sqlite":
        keys = select(*columns.values())
        return delete(table).where(_of_thread(table), tuple_(*[table.c[name] for name in names]).in_(keys))
    return delete(table).where(_of_thread(table), and_(*same))


def totals_of_thread(_database: str) -> Any:
    """How many visible checkpoints a thread has, and their sizes together."""
    size = cast(func.coalesce(func.sum(CHECKPOINT.c.size), literal_column("0")), BigInteger)
    return select(func.count(), size).where(_of_thread(CHECKPOINT), is_visible())


def set_thread(_database: str) -> Update:
    """Set the times, the counters and the generation of a thread."""
    names: Sequence[str] = ("created_at", "updated_at", "generation", "checkpoint_count", "size")
    return update(THREAD).where(_of_thread(THREAD)).values({name: bindparam(f"new_{name}", type_=BigInteger) for name in names})


def given_objects(database: str) -> Select[Any]:
    """The given objects, with all columns."""
    given = keys_table(database, OBJECT_KEY)
    joined, found = lookup_join(database, given, OBJECT, equal_columns(OBJECT, given, OBJECT_KEY))
    return select(*raw_columns(found)).select_from(joined)


def objects_of_thread(_database: str) -> Select[Any]:
    """Keys of the objects that a thread's segments refer to."""
    return select(SEGMENT.c.object_key).where(_of_thread(SEGMENT), SEGMENT.c.object_key.is_not(null())).distinct()


def unreferenced_objects(database: str) -> Select[Any]:
    """Live objects that no segment refers to, with all columns, after the key `after`; with several shards, all live ones."""
    live = OBJECT.c.state == literal_column("'live'")
    unreferenced = [] if database == SCATTERED else [~exists().where(SEGMENT.c.object_key == OBJECT.c.key)]
    rows = select(*raw_columns(OBJECT)).where(live, *unreferenced, OBJECT.c.key > bindparam("after", type_=Text()))
    return rows.order_by(OBJECT.c.key).limit(_PAGE_SIZE)


def given_settings(database: str) -> Select[Any]:
    """Name and value (as JSON) of those of the given settings that exist."""
    given = keys_table(database, ("name",))
    joined, found = lookup_join(database, given, SETTING, equal_columns(SETTING, given, ("name",)))
    return select(found.c.name, cast(found.c.value, Text)).select_from(joined)
