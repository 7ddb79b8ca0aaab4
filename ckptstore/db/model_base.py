"""What the models of all tables share."""

from __future__ import annotations

from sqlalchemy import Text
from sqlalchemy.orm import DeclarativeBase

#: Text that compares as bytes.
Key = Text().with_variant(Text(collation="C"), "postgresql")

# WITHOUT ROWID: SQLite stores the rows in the B-tree of the primary key, so an insert writes one tree instead of two.
CLUSTERED = {"sqlite_with_rowid": False}


class Base(DeclarativeBase):
    """The declarative base of ckptstore's own tables."""
