"""Stores a batch: ordinary writes with one statement, the others in a transaction that checks and replaces (`replace`)."""

from __future__ import annotations

from collections.abc import Sequence

from ckptstore.db.connection import Db
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes import commit_postgres, commit_sqlite
from ckptstore.writes.attempt import MissingParts


def commit_batch(db: Db, batch: Sequence[EncodedWrite]) -> Sequence[MissingParts | None]:
    """Make a batch durable, except the writes that refer to something missing.

    Returns:
        For each write None, or what is missing.
    """
    commit = commit_sqlite.commit if db.on_sqlite else commit_postgres.commit
    return commit(db, batch)
