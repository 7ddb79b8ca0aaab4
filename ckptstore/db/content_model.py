"""The table of the objects that are kept in the database: files of a store that has no blob backend."""

from __future__ import annotations

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from ckptstore.db.model_base import Base, Key
from ckptstore.db.read_only import read_only


@read_only(write="await saver.blobs.put(data)", delete="await saver.acollect()")
class ObjectContent(Base):
    """The bytes of an object whose key begins with `database/`. `ckpt_object` has its digest, size and state, as of any other."""

    __tablename__ = "ckpt_object_content"

    key: Mapped[str] = mapped_column(Key, primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)
