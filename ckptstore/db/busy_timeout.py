"""How long SQLite waits for another process's lock: never past the deadline of the work that waits."""

from __future__ import annotations

import time
from collections.abc import Callable, MutableMapping
from typing import Any, TypeVar

from sqlalchemy.pool import ConnectionPoolEntry

from ckptstore.db.connection import Db
from ckptstore.db.retries import Deadline
from ckptstore.db.runner import Work
from ckptstore.db.settings import DatabaseSettings

T = TypeVar("T")

# Work waits in parts, so that an attempt whose callers have received an error meanwhile ends soon.
_MAX_SECONDS = 1.0
_SECONDS = "busy_timeout_seconds"


def limit_wait(cursor: Any, entry: ConnectionPoolEntry, settings: DatabaseSettings) -> None:
    """Set the busy timeout of a new connection."""
    _set(cursor.execute, entry.info, min(settings.busy_timeout_seconds, settings.retry_seconds, _MAX_SECONDS))


def run_within(work: Work[T], deadline: Deadline, settings: DatabaseSettings, db: Db) -> T:
    """Run work that waits for a lock until a deadline at most, and for `busy_timeout_seconds`; then it may be repeated."""
    seconds = max(0.0, min(settings.busy_timeout_seconds, _MAX_SECONDS, deadline() - time.monotonic()))
    # Nearly always the deadline is further away than the longest wait, and nothing changes.
    if db.kept.get(_SECONDS) != seconds:
        _set(db.execute, db.kept, seconds)
    return work(db)


def _set(execute: Callable[[str], object], info: MutableMapping[Any, Any], seconds: float) -> None:
    execute(f"PRAGMA busy_timeout={int(seconds * 1000)}")
    info[_SECONDS] = seconds
