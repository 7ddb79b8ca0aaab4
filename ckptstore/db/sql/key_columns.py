"""Columns that have the key of a checkpoint, in its own table or by way of the index of tags."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import ColumnElement, FromClause

from ckptstore.db.sql.tables import CHECKPOINT_KEY


class KeyColumns(NamedTuple):
    """The columns that have the key of a checkpoint."""

    thread_id: ColumnElement[str]
    checkpoint_ns: ColumnElement[str]
    checkpoint_id: ColumnElement[str]
    #: The number of the thread in SQLite's index of tags, where it is known.
    thread_no: ColumnElement[int] | None = None

    def equals(self, checkpoints: FromClause) -> list[ColumnElement[bool]]:
        """The conditions that rows of a table have this key."""
        return [checkpoints.c[name] == getattr(self, name) for name in CHECKPOINT_KEY]


def key_in(rows: FromClause) -> KeyColumns:
    """The key of a checkpoint in columns of the same names."""
    return KeyColumns(*[rows.c[name] for name in CHECKPOINT_KEY])
