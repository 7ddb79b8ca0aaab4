"""Statements that delete or copy a thread, and that read what a deletion needs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Delete,
    Insert,
    Select,
    Table,
    Text,
    Update,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    false,
    func,
    literal_column,
    select,
    true,
    update,
)

from ckptstore.db.sql.insert import insert_into, resolve_conflict
from ckptstore.db.sql.lookups import equal_columns, has_given_key, is_visible
from ckptstore.db.sql.parameters import keys_table
from ckptstore.db.sql.tables import CHECKPOINT, CHECKPOINT_KEY, TAG, TAG_KEY, THREAD, WRITE


def lock_thread(database: str) -> Select[Any]:
    """The thread's row, locked until the transaction ends (SQLite's transactions lock everything anyway)."""
    return thread_stamp(database).with_for_update()


def thread_stamp(_database: str) -> Select[Any]:
    """Values that change with every checkpoint that is added or deleted, and, to within a second, with every write."""
    c = THREAD.c
    return select(c.generation, c.checkpoint_count, cast(c.updated_at, BigInteger)).where(c.thread_id == bindparam("thread_id"))


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


def delete_thread_rows(_database: str, table: Table) -> Delete:
    """Delete every row of a thread in one table."""
    return delete(table).where(table.c.thread_id == bindparam("thread_id"))


def delete_tags(database: str) -> Delete:
    """Delete the given tags. The keys are whole, since the index is ordered by tag and not by thread."""
    return delete(TAG).where(has_given_key(database, TAG, TAG_KEY))


def metadata_of_thread(_database: str) -> Select[Any]:
    """Namespace, id and metadata of a thread's visible checkpoints."""
    c = CHECKPOINT.c
    return select(c.checkpoint_ns, c.checkpoint_id, cast(c.metadata, Text)).where(c.thread_id == bindparam("thread_id"), is_visible())


def delete_empty_thread(_database: str) -> Delete:
    """Delete the thread's own row if it has no checkpoint and no write left."""
    empty = [~exists().where(table.c.thread_id == THREAD.c.thread_id) for table in (CHECKPOINT, WRITE)]
    return delete(THREAD).where(THREAD.c.thread_id == bindparam("thread_id"), *empty)


def copy_rows(database: str, table: Table) -> Insert:
    """Copy a thread's rows of one table to another thread; rows with the same key there are kept."""
    given: dict[str, Any] = {"thread_id": bindparam("target", type_=Text()), "generation": bindparam("generation", type_=BigInteger)}
    columns: list[Any] = [given[c.name].label(c.name) if c.name in given else c for c in table.c]
    source = select(*columns).where(table.c.thread_id == bindparam("thread_id"))
    insert = insert_into(database, table).from_select([c.name for c in table.c], source)
    made: Insert = resolve_conflict(insert, table, "keep")
    return made


def unhide_copied(_database: str) -> Update:
    """Unhide those checkpoints of the target thread that are visible in the thread that was copied to it."""
    source = CHECKPOINT.alias("source")
    same = equal_columns(source, CHECKPOINT, ("checkpoint_ns", "checkpoint_id"))
    found = exists().where(source.c.thread_id == bindparam("thread_id"), source.c.hidden.is_(false()), *same)
    hidden = [CHECKPOINT.c.thread_id == bindparam("target", type_=Text()), CHECKPOINT.c.hidden.is_(true())]
    return update(CHECKPOINT).where(*hidden, found).values(hidden=false())


def checkpoints_with_postings(database: str) -> Select[Any]:
    """The checkpoints that have one of the given postings: (thread, namespace, id)."""
    given_keys = keys_table(database, ("key", "value"))
    return select(*[TAG.c[name] for name in CHECKPOINT_KEY]).join(given_keys, and_(*equal_columns(TAG, given_keys, ("key", "value"))))
