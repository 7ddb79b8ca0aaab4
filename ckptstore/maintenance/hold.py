"""Holding the collector of blobs off while a backup is under way: what its copy of the database refers to must not be deleted."""

from __future__ import annotations

import json
from typing import NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.stored_settings import read_setting

_SETTING = "collector_held"
# A backup that was killed holds it no longer than this.
HOLD_MICROSECONDS = 24 * 3600 * 1_000_000


class Hold(NamedTuple):
    """A backup holds the collector off."""

    #: Microseconds since 1970, UTC.
    until: int
    #: Names the backup.
    by: str


def hold_collector(db: Db, hold: Hold) -> None:
    """Hold the collector off; a later backup takes the hold over."""
    value = json.dumps(hold._asdict(), separators=(",", ":"))
    db.run(sql.settings_table.set_setting, {"name": _SETTING, "value": value}, "replace")


def is_held(db: Db, now: int) -> bool:
    """Whether a backup holds the collector off at a time (microseconds since 1970, UTC)."""
    hold = _read(db)
    return hold is not None and now < hold.until


def release_collector(db: Db, by: str) -> None:
    """Let the collector run again, unless another backup holds it off by now."""
    with db.transaction():
        hold = _read(db)
        if hold is not None and hold.by == by:
            db.run(sql.settings_table.delete_setting, {"name": _SETTING})


def _read(db: Db) -> Hold | None:
    return read_setting(db, _SETTING, lambda stored: Hold(**stored))
