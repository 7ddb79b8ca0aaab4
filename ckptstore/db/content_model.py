"""The table of the objects that are kept in the database: files of a store that has no blob backend."""

from __future__ import annotations

from sqlalchemy.orm import Mapped

from ckptstore.db.model_base import Base
from ckptstore.db.read_only import read_only
from ckptstore.db.tables import CONTENT


@read_only(write="await saver.blobs.put(data)", delete="await saver.acollect()")
class ObjectContent(Base):
    """The bytes of an object whose key begins with `database/`. `ckpt_object` has its digest, size and state, as of any other."""

    __table__ = CONTENT

    key: Mapped[str]
    content: Mapped[bytes]
