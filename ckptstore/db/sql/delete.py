"""Statements that delete a thread's rows, and its checkpoints' tags; `prune` deletes single checkpoints."""

from __future__ import annotations

from sqlalchemy import Delete, Table, bindparam, delete

from ckptstore.db.sql.lookups import has_given_key
from ckptstore.db.sql.tables import TAG, TAG_KEY


def delete_thread_rows(_database: str, table: Table) -> Delete:
    """Delete every row of a thread in one table."""
    return delete(table).where(table.c.thread_id == bindparam("thread_id"))


def delete_tags(database: str) -> Delete:
    """Delete the given tags. The keys are whole, since the index is ordered by tag and not by thread."""
    return delete(TAG).where(has_given_key(database, TAG, TAG_KEY))
