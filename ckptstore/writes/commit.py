"""Storing a batch: what is ordinary goes in as one statement, the rest through a transaction that checks and replaces (`replace`)."""

from __future__ import annotations

from collections.abc import Sequence

from ckptstore.db.handle import Db
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes import commit_postgres, commit_sqlite
from ckptstore.writes.attempt import MissingParts


def commit_batch(db: Db, batch: Sequence[EncodedWrite]) -> Sequence[MissingParts | None]:
    """Make a batch durable: all of it but the writes that turn out to miss something.

    Returns:
        For each write None, or what it misses.
    """
    commit = commit_sqlite.commit if db.on_sqlite else commit_postgres.commit
    return commit(db, batch)
