"""Stores a batch: ordinary writes with one statement, the others in a transaction that checks and replaces (`replace`)."""

from __future__ import annotations

from collections.abc import Sequence

from ckptstore.db.abilities import Abilities
from ckptstore.db.connection import Db
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes import commit_sqlite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.batch import LOCK_SECONDS
from ckptstore.writes.commit_on_shards import ShardsCommit
from ckptstore.writes.commit_postgres import BatchCommit


def commit_batch(db: Db, batch: Sequence[EncodedWrite], lock_seconds: float = LOCK_SECONDS) -> Sequence[MissingParts | None]:
    """Make a batch durable, except the writes that refer to something missing.

    Args:
        db: of the database.
        batch: the writes.
        lock_seconds: how long it waits for the row of a thread (PostgreSQL).

    Returns:
        For each write None, or what is missing.

    Raises:
        ThreadLocked: a thread is locked by another transaction (PostgreSQL).
    """
    if db.on_sqlite:
        return commit_sqlite.commit(db, batch)
    attempt = begin_batch(db.abilities, batch, lock_seconds)
    call = attempt.statement(db.statements, db.abilities)
    if call is not None:
        try:
            attempt.answered(db.execute(*call).all())
        except Exception as exc:
            if not attempt.recovers(exc):
                attempt.raise_explained(exc)
    return attempt.finish(db)


def begin_batch(abilities: Abilities, batch: Sequence[EncodedWrite], lock_seconds: float) -> BatchCommit | ShardsCommit:
    """Begin an attempt to store a batch on PostgreSQL."""
    # A statement of several writes, and a function beside the tables, need what only one server has.
    return (BatchCommit if abilities.database.one_snapshot else ShardsCommit)(batch, lock_seconds)
