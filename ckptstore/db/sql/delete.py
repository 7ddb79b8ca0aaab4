"""Statements that delete a thread's rows, and its checkpoints' tags; `prune` deletes single checkpoints."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Delete, Select, Table, Text, bindparam, delete, func, literal_column, select, tuple_

from ckptstore.db.sql import numbered_rows
from ckptstore.db.sql.copy import payload_bytes
from ckptstore.db.sql.lookups import OrderedJoin, has_given_key
from ckptstore.db.sql.parameters import keys_table
from ckptstore.db.sql.tables import POSTING, TAG, TAG_KEY, TAG_THREAD
from ckptstore.db.sql.tag_layouts import has_numbers


def delete_thread_rows(database: str, table: Table) -> Delete:
    """Delete every row of a thread in one table."""
    if table is TAG and has_numbers(database):
        return numbered_rows.delete_tags_of_thread(bindparam("thread_id", type_=Text()))
    return delete(table).where(table.c.thread_id == bindparam("thread_id"))


def count_thread_rows(_database: str, table: Table) -> Select[Any]:
    """How many rows a thread has in one table, counted up to `bound`, and the bytes of their payloads."""
    sizes = select(payload_bytes(table).label("size")).where(table.c.thread_id == bindparam("thread_id"))
    some = sizes.limit(bindparam("bound", type_=BigInteger)).subquery("some")
    return select(func.count(), func.coalesce(func.sum(some.c.size), literal_column("0"))).select_from(some)


def refs_in_thread(_database: str, table: Table) -> Select[Any]:
    """Namespace and id of a thread's checkpoints (`ckpt_checkpoint`), or of those that it has writes for (`ckpt_write`)."""
    return select(table.c.checkpoint_ns, table.c.checkpoint_id).where(table.c.thread_id == bindparam("thread_id")).distinct()


def delete_tags(database: str) -> Delete:
    """Delete the given tags. The keys are whole, since the index is ordered by tag and not by thread."""
    if has_numbers(database):
        return numbered_rows.delete_tags()
    if database != "sqlite":
        return delete(TAG).where(has_given_key(database, TAG, TAG_KEY))
    given = keys_table(database, TAG_KEY)
    cells = [TAG_THREAD.c.number if each.name == "thread_no" else given.c[each.name] for each in POSTING.c]
    numbered = OrderedJoin(given, TAG_THREAD, TAG_THREAD.c.thread_id == given.c.thread_id)
    return delete(POSTING).where(tuple_(*POSTING.c).in_(select(*cells).select_from(numbered)))
