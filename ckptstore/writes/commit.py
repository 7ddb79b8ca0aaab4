"""Stores a batch: ordinary writes with one statement, the others in a transaction that checks and replaces (`replace`)."""

from __future__ import annotations

from collections.abc import Sequence

from ckptstore.db.connection import Db
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes import commit_by_thread, commit_postgres, commit_sqlite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.batch import LOCK_SECONDS


def commit_batch(db: Db, batch: Sequence[EncodedWrite], lock_seconds: float = LOCK_SECONDS) -> Sequence[MissingParts | None]:
    """Make a batch durable, except the writes that refer to something missing.

    Args:
        db: of the database.
        batch: the writes.
        lock_seconds: how long it waits for the row of a thread (PostgreSQL).

    Returns:
        For each write None, or what is missing.
    """
    if db.on_sqlite:
        return commit_sqlite.commit(db, batch)
    # A statement of several writes, and a function beside the tables, need what only one server has.
    commit = commit_postgres.commit if db.abilities.database.one_snapshot else commit_by_thread.commit
    return commit(db, batch, lock_seconds)
