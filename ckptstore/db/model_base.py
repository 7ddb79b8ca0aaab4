"""The base of the models."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase

from ckptstore.db.tables import tables_for_ddl


class Base(DeclarativeBase):
    """The declarative base of ckptstore's own tables."""

    metadata = tables_for_ddl()
