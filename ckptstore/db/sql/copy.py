"""Statements that copy a thread to another thread id: hidden at first, some rows at a time, then shown."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Insert,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    false,
    func,
    literal_column,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from ckptstore.db.sql import checksums
from ckptstore.db.sql.insert import insert_into, resolve_conflict
from ckptstore.db.sql.lookups import has_given_key, raw_columns, rows_with_keys
from ckptstore.db.sql.tables import CHANNEL, CHECKPOINT, CHECKPOINT_KEY, SEGMENT, THREAD, WRITE

#: The tables of what a thread has. What a row names is in a later table: a row that was copied names nothing that its copy would miss.
COPIED = (CHECKPOINT, CHANNEL, WRITE, SEGMENT)

_PAYLOADS = {CHECKPOINT: ("body", "metadata"), CHANNEL: ("value",), WRITE: ("value",), SEGMENT: ("data",)}


def copy_thread_row(database: str) -> Insert:
    """Give the target thread a row with the source's times and no checkpoints, if it has none."""
    zero = literal_column("0", BigInteger)
    given = {"thread_id": _TARGET, "generation": bindparam("generation", type_=BigInteger), "checkpoint_count": zero, "size": zero}
    return _copied(database, THREAD, given, [THREAD.c.thread_id == bindparam("thread_id")])


def key_sizes(_database: str, table: Table) -> Select[Any]:
    """The bytes, then the key of up to `page_size` of a thread's rows after a key (`after_` and the name of each column), in its order."""
    key = [*table.primary_key]
    page = bindparam("page_size", type_=BigInteger)
    return select(payload_bytes(table), *key).where(_of_thread(table), _after(table)).order_by(*key).limit(page)


def payload_bytes(table: Table) -> ColumnElement[Any]:
    """The bytes of a row's payload."""
    sizes: list[ColumnElement[Any]] = [
        func.coalesce(func.length(_as_bytes(table.c[name])), literal_column("0")) for name in _PAYLOADS[table]
    ]
    return sizes[0] if len(sizes) == 1 else sizes[0] + sizes[1]


def copy_rows(database: str, table: Table) -> Insert:
    """Copy a thread's rows after a key and up to another (`last_`) to the target thread, checkpoints hidden; rows that it has are kept.

    `checksum_mask` is the `values.checksums.copy_mask` of the two threads.
    """
    given: dict[str, Any] = {"thread_id": _TARGET}
    if "checksum" in table.c:
        checksum = checksums.of_hidden(table) if table is CHECKPOINT else table.c.checksum
        given["checksum"] = checksums.combined(checksum, bindparam("checksum_mask", type_=BigInteger))
    if table is CHECKPOINT:
        given["hidden"] = true()
    return _copied(database, table, given, [_of_thread(table), _after(table), tuple_(*table.primary_key) <= _key(table, "last")])


def copied_thread_row(database: str) -> Select[Any]:
    """The row that `copy_thread_row` inserts, as `Db.insert` takes it."""
    return _as_inserted(copy_thread_row(database))


def copied_rows(database: str, table: Table) -> Select[Any]:
    """The rows that `copy_rows` inserts, as `Db.insert` takes them: for a target that may be on another shard."""
    return _as_inserted(copy_rows(database, table))


def _as_inserted(insert: Insert) -> Select[Any]:
    source = insert.select
    assert isinstance(source, Select)
    columns = raw_columns(source.subquery("source"))
    return select(*columns)


def show_checkpoints(database: str) -> ReturningUpdate[Any]:
    """Unhide those of the given checkpoints that are hidden; returns namespace, id, metadata and size of each."""
    c = CHECKPOINT.c
    hidden = [has_given_key(database, CHECKPOINT, CHECKPOINT_KEY), c.hidden.is_(true())]
    shown = update(CHECKPOINT).where(*hidden).values(hidden=false(), checksum=checksums.of_visible(CHECKPOINT))
    return shown.returning(c.checkpoint_ns, c.checkpoint_id, cast(c.metadata, Text), c.size)


def whole_checkpoints(database: str) -> Select[Any]:
    """The given checkpoints with all columns, as `Db.insert` takes them."""
    joined, found = rows_with_keys(database, CHECKPOINT, CHECKPOINT_KEY)
    return select(*raw_columns(found)).select_from(joined)


_TARGET = bindparam("target", type_=Text())


def _as_bytes(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(column, Text) if column.name == "metadata" else column


def _of_thread(table: Table) -> ColumnElement[bool]:
    return table.c.thread_id == bindparam("thread_id")


def _after(table: Table) -> ColumnElement[bool]:
    after: ColumnElement[bool] = tuple_(*table.primary_key) > _key(table, "after")
    return after


def _key(table: Table, prefix: str) -> Any:
    return tuple_(*[bindparam(f"{prefix}_{column.name}", type_=column.type) for column in table.primary_key])


def _copied(database: str, table: Table, given: dict[str, Any], where: list[ColumnElement[bool]]) -> Insert:
    source = select(*[given[c.name].label(c.name) if c.name in given else c for c in table.c]).where(*where)
    insert = insert_into(database, table).from_select([c.name for c in table.c], source)
    made: Insert = resolve_conflict(insert, table, "keep")
    return made
