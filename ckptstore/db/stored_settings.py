"""Reads the settings that savers on a database share, and reports one that was altered."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.errors import DatabaseCorrupt

T = TypeVar("T")


def read_setting(db: Db, name: str, form: Callable[[dict[str, Any]], T], *, lock: bool = False) -> T | None:
    """A setting; None if it is not stored.

    Args:
        db: the database.
        name: of the setting.
        form: makes the result of the stored JSON.
        lock: whether to lock its row until the transaction ends.

    Raises:
        DatabaseCorrupt: what is stored has another form.
    """
    rows = db.run(sql.settings_table.lock_setting if lock else sql.settings_table.setting, {"name": name}).all()
    return formed(name, rows[0][0], form) if rows else None


def formed(name: str, text: str, form: Callable[[dict[str, Any]], T]) -> T:
    """What a function makes of a setting's JSON.

    Raises:
        DatabaseCorrupt: it has another form.
    """
    try:
        return form(json.loads(text))
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError) as exc:
        raise DatabaseCorrupt(f"the setting {name!r} in the database was altered ({type(exc).__name__}); restore a backup") from exc
