"""SQLite's write-ahead log, kept short beside the writers.

What was committed lies in the log until it is moved into the database's file. SQLite does that itself, within whichever commit makes
the log long: dozens of writes wait then for thousands of pages. Here most of it happens on another thread.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future

from ckptstore.db.handle import Db

#: Pages of the log at which a commit moves them after all, should this fall behind.
MOST_PAGES = 10_000
# At so many seconds of writing a log has a thousand pages or so.
_INTERVAL = 0.1

logger = logging.getLogger(__name__)


class WriteAheadLog:
    """Moves pages now and then, while something is written.

    Args:
        beside: runs a function of a connection on another thread than the writer's.
    """

    def __init__(self, beside: Callable[[Callable[[Db], None]], Future[None]]) -> None:
        self._beside = beside
        self._moving: Future[None] | None = None
        self._moved_at = time.monotonic()

    def wrote(self, db: Db) -> None:
        """Something was committed; called on the writer's thread, with its connection."""
        if self._moving is None:
            if time.monotonic() - self._moved_at >= _INTERVAL:
                self._moving = self._beside(_move)
        elif self._moving.done():
            if (exc := self._moving.exception()) is not None:
                logger.warning("the write-ahead log was not looked at: %s", exc, extra={"event": "wal_not_moved"})
            self._moving, self._moved_at = None, time.monotonic()
            # The little that was written meanwhile: once all of it is moved, the log begins anew instead of growing on.
            _move(db)


def _move(db: Db) -> None:
    try:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")
    except sqlite3.Error as exc:
        # What is in the log is durable. The next one moves it, or, when there is really something wrong, the next write says so.
        logger.warning("the write-ahead log stays as it is: %s", exc, extra={"event": "wal_not_moved"})
