"""The base of the models."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase

from ckptstore.db.tables import METADATA


class Base(DeclarativeBase):
    """The declarative base of ckptstore's own tables."""

    metadata = METADATA
