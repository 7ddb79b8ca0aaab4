"""Statements that copy a thread to another thread id."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Insert, Table, Text, Update, bindparam, exists, false, select, true, update

from ckptstore.db.sql import checksums
from ckptstore.db.sql.insert import insert_into, resolve_conflict
from ckptstore.db.sql.lookups import equal_columns
from ckptstore.db.sql.tables import CHECKPOINT


def copy_rows(database: str, table: Table) -> Insert:
    """Copy a thread's rows of one table to another thread; rows with the same key there are kept.

    `checksum_mask` is the `values.checksums.copy_mask` of the two threads.
    """
    given: dict[str, Any] = {"thread_id": bindparam("target", type_=Text()), "generation": bindparam("generation", type_=BigInteger)}
    if "checksum" in table.c:
        given["checksum"] = checksums.combined(table.c.checksum, bindparam("checksum_mask", type_=BigInteger))
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
    return update(CHECKPOINT).where(*hidden, found).values(hidden=false(), checksum=checksums.of_visible(CHECKPOINT))
