"""Checksums of rows in statements that change what they cover: which thread a row belongs to, and whether a checkpoint is hidden."""

from __future__ import annotations

from typing import Any
from zlib import crc32

from sqlalchemy import BigInteger, ColumnElement, FromClause, case, literal_column

#: Combined with the checksum of a hidden checkpoint. Part of the file format, like the checksums themselves.
HIDDEN: ColumnElement[int] = literal_column(str(crc32(b"hidden")), BigInteger)


def combined(checksum: ColumnElement[Any], mask: ColumnElement[Any]) -> ColumnElement[Any]:
    """The exclusive or of a checksum and a mask; null where there is no checksum."""
    # SQLite has no operator for it. The bits that only one of the two has are those of either, without those of both.
    return checksum.bitwise_or(mask) - checksum.bitwise_and(mask)


def of_hidden(checkpoints: FromClause) -> ColumnElement[Any]:
    """The checksum that each of these checkpoints has when it is hidden."""
    return case((checkpoints.c.hidden, checkpoints.c.checksum), else_=combined(checkpoints.c.checksum, HIDDEN))


def of_visible(checkpoints: FromClause) -> ColumnElement[Any]:
    """The checksum that each of these checkpoints has when it is visible: the one that `checkpoint_checksum` computes."""
    return case((checkpoints.c.hidden, combined(checkpoints.c.checksum, HIDDEN)), else_=checkpoints.c.checksum)
