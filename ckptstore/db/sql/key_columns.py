"""Columns that have the key of a checkpoint, in its own table or by way of the index of tags."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, and_

from ckptstore.db.sql.tables import CHECKPOINT_KEY
from ckptstore.db.sql.tag_ids import Half


class KeyColumns(NamedTuple):
    """The columns that have the key of a checkpoint."""

    thread_id: ColumnElement[str]
    checkpoint_ns: ColumnElement[str]
    checkpoint_id: ColumnElement[str]
    #: The number of the thread in the index of tags, where it is known.
    thread_no: ColumnElement[int] | None = None
    #: The half of the id in PostgreSQL's index of tags (`tag_ids`), where the key comes from there.
    half: ColumnElement[Any] | None = None

    def equals(self, checkpoints: FromClause) -> list[ColumnElement[bool]]:
        """The conditions that rows of a table have this key."""
        return [checkpoints.c[name] == getattr(self, name) for name in CHECKPOINT_KEY]

    def has_id(self, how: str, checkpoint_id: ColumnElement[str]) -> ColumnElement[bool]:
        """Whether the id is less than another one (`<`), at most that (`<=`), the same (`=`), or at least that (`>=`)."""
        same = self.checkpoint_id.bool_op(how)(checkpoint_id)
        return same if self.half is None else and_(self.half.bool_op({"<": "<="}.get(how, how))(Half(checkpoint_id)), same)


def key_in(rows: FromClause) -> KeyColumns:
    """The key of a checkpoint in columns of the same names."""
    return KeyColumns(*[rows.c[name] for name in CHECKPOINT_KEY])
