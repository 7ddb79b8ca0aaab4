"""The table of settings."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Mapped

from ckptstore.db.model_base import Base
from ckptstore.db.read_only import read_only
from ckptstore.db.tables import SETTING

_CHANGE = "await saver.arebuild_tags() for the keys of tags, or await saver.arelocate_blobs() for the URL of the blobs"


@read_only(write=_CHANGE, delete=_CHANGE)
class Setting(Base):
    """A setting that all savers on a database must share."""

    __table__ = SETTING

    name: Mapped[str]
    value: Mapped[dict[str, Any]]
