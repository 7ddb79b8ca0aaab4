"""The table of settings."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON
from sqlalchemy.orm import Mapped, mapped_column

from ckptstore.db.model_base import CLUSTERED, Base, Key
from ckptstore.db.read_only import read_only


@read_only(write="await saver.setup()", delete="await saver.setup()")
class Setting(Base):
    """A setting that all savers on a database must share."""

    __tablename__ = "ckpt_setting"

    name: Mapped[str] = mapped_column(Key, primary_key=True)
    value: Mapped[dict[str, Any]] = mapped_column(JSON)

    __table_args__ = (CLUSTERED,)
