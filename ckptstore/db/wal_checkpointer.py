"""Checkpoints of SQLite's write-ahead log, concurrent with the writer.

Committed pages remain in the log until a checkpoint moves them into the database's file. SQLite does that itself, in the commit that
makes the log long: dozens of writes then wait for thousands of pages. Here a reading worker thread does most of it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ckptstore.db.connection import Db
from ckptstore.runtime.future import Future

#: Pages of the log at which a commit makes a checkpoint itself, in case this module falls behind.
MAX_PAGES = 10_000
# A log that is written for this long has about a thousand pages.
_INTERVAL_SECONDS = 0.1

logger = logging.getLogger(__name__)


class WalCheckpointer:
    """Makes checkpoints while something is written.

    Args:
        run_concurrently: runs a function of a connection on another worker thread than the writer's.
    """

    def __init__(self, run_concurrently: Callable[[Callable[[Db], None]], Future[None]]) -> None:
        self._run_concurrently = run_concurrently
        self._running: Future[None] | None = None
        self._finished_at = time.monotonic()

    def wrote(self, db: Db) -> None:
        """Note a commit; called by the thread that made it, with its connection."""
        running = self._running
        if running is None:
            if time.monotonic() - self._finished_at >= _INTERVAL_SECONDS:
                self._running = self._run_concurrently(_checkpoint)
        elif running.done():
            if (exc := running.exception()) is not None:
                _log_failure(exc)
            self._running, self._finished_at = None, time.monotonic()
            # Moves the few pages written meanwhile: once all pages are moved, the log is overwritten from its start instead of growing.
            _checkpoint(db)


def _checkpoint(db: Db) -> None:
    try:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")
    except Exception as exc:
        # Whatever it is, also from a listener of the user's: what is in the log is durable, and the write that came before succeeded.
        _log_failure(exc)


def _log_failure(exc: BaseException) -> None:
    logger.warning("SQLite wal_checkpoint failed, will retry after a later commit: %s", exc, extra={"event": "wal_checkpoint_failed"})
