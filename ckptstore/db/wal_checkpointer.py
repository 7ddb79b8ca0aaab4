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
# A checkpoint syncs the log and the file, whatever it moves. A longer log would cost, too: each commit that lengthens the file takes half
# as long again as one that overwrites what was there.
_PAGES_PER_CHECKPOINT = 1_000
_INTERVAL_SECONDS = 0.1
# Until a checkpoint has shown it.
_PAGES_PER_COMMIT = 20.0

logger = logging.getLogger(__name__)


class WalCheckpointer:
    """Makes checkpoints while something is written.

    Args:
        run_concurrently: runs a function of a connection on another worker thread than the writer's.
    """

    def __init__(self, run_concurrently: Callable[[Callable[[Db], int]], Future[int]]) -> None:
        self._run_concurrently = run_concurrently
        self._running: Future[int] | None = None
        #: Since the last checkpoint; about, since callers add to it without a lock.
        self._commits = 0
        self._pages_per_commit = _PAGES_PER_COMMIT
        self._finished_at = time.monotonic()

    def wrote(self, db: Db) -> None:
        """Note a commit; called by the thread that made it, with its connection."""
        self._commits += 1
        running = self._running
        if running is None:
            is_long = self._commits * self._pages_per_commit >= _PAGES_PER_CHECKPOINT
            if is_long and time.monotonic() - self._finished_at >= _INTERVAL_SECONDS:
                self._running = self._run_concurrently(_checkpoint)
        elif running.done():
            if (exc := running.exception()) is not None:
                _log_failure(exc)
            elif pages := running.result():
                self._pages_per_commit = pages / max(1, self._commits)
            self._commits, self._running, self._finished_at = 0, None, time.monotonic()
            # Moves the few pages written meanwhile: once all pages are moved, the log is overwritten from its start instead of growing.
            _checkpoint(db)


def _checkpoint(db: Db) -> int:
    """Move the pages of the log; returns how many it has, or 0."""
    try:
        ((_busy, pages, _moved),) = db.execute("PRAGMA wal_checkpoint(PASSIVE)").found
        return max(0, int(pages))
    except Exception as exc:
        # Whatever it is, also from a listener of the user's: what is in the log is durable, and the write that came before succeeded.
        _log_failure(exc)
        return 0


def _log_failure(exc: BaseException) -> None:
    logger.warning("SQLite wal_checkpoint failed, will retry after a later commit: %s", exc, extra={"event": "wal_checkpoint_failed"})
