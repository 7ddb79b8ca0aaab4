"""What the models of all tables share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Integer, Text
from sqlalchemy.orm import DeclarativeBase

#: Text that compares as bytes.
Key = Text().with_variant(Text(collation="C"), "postgresql")
#: A number that the database assigns: SQLite assigns those of a column of exactly this type.
Number = BigInteger().with_variant(Integer(), "sqlite")

# WITHOUT ROWID: SQLite stores the rows in the B-tree of the primary key, so an insert writes one tree instead of two.
CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}


class Base(DeclarativeBase):
    """The declarative base of ckptstore's own tables."""
