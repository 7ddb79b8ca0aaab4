"""The table of settings."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Mapped

from ckptstore.db.model_base import Base
from ckptstore.db.read_only import read_only
from ckptstore.db.tables import SETTING


@read_only(write="await saver.setup()", delete="await saver.setup()")
class Setting(Base):
    """A setting that all savers on a database must share."""

    __table__ = SETTING

    name: Mapped[str]
    value: Mapped[dict[str, Any]]
