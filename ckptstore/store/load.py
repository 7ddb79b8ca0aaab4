"""Writes what a store does into the table `ckpt_load`, a row for each minute, for `ckptstore doctor`.

A minute begins with the first thing that is counted after the last one ended. The first thing that is counted after its end has the row
written, by the thread or loop on which writes run: nobody waits for it, and while nothing happens there is no row.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.pool_use import PoolUse
from ckptstore.db.retries import seconds_from_now
from ckptstore.db.runner import Runner
from ckptstore.db.sql.tables import LOAD, Row
from ckptstore.db.url import is_memory
from ckptstore.errors import StoreClosed
from ckptstore.monitoring.counters import Counters
from ckptstore.monitoring.summary import summary
from ckptstore.runtime.fork import in_child
from ckptstore.runtime.future import Future

#: How long rows are kept.
KEPT_MICROSECONDS = 14 * 24 * 3600 * 1_000_000
_MINUTE_SECONDS = 60.0
# A row that can't be written by then is none: its counts are in the next one.
_WRITE_SECONDS = 1.0
_MAX_SEARCHED = 100

logger = logging.getLogger(__name__)


class _Minute(NamedTuple):
    """A minute that has begun."""

    #: By `perf_counter`, and in microseconds since 1970.
    began: float
    started_at: int
    #: What was counted before.
    before: Counters


class LoadRecorder:
    """Records the load of one store. It registers itself with the store's monitor, unless the settings or the database are against it.

    Args:
        runner: of the database.
        queue_depth: says how many writes wait.
    """

    def __init__(self, runner: Runner, queue_depth: Callable[[], int]) -> None:
        self._runner = runner
        self._monitor = runner.monitor
        self._queue_depth = queue_depth
        #: How long a minute is.
        self.minute_seconds = _MINUTE_SECONDS
        #: The row that was written last, or is being written.
        self.writing: Future[None] | None = None
        if self._monitor.settings.record_load and not is_memory(runner.url):
            self._monitor.on_load_due = self.due
            self._reset()
            in_child(self._reset)

    def _reset(self) -> None:
        self._process = f"{socket.gethostname()}:{os.getpid()}"
        self._minute: _Minute | None = None
        self._monitor.load_due_at = -float("inf")

    def due(self, now: float, counters: Counters) -> None:
        """Begin a minute, and have the row of the last one written; called before something is counted.

        Two threads may call it at the same time: the rows that they write are the same one.

        Args:
            now: by `perf_counter`.
            counters: a copy of what was counted up to now.
        """
        self._monitor.load_due_at = now + self.minute_seconds
        minute, self._minute = self._minute, _Minute(now, time.time_ns() // 1000, counters)
        if minute is not None:
            # A row is written by the next operation, which may come long after the minute has ended.
            seconds = max(self.minute_seconds, self._monitor.recent.noted_at - minute.began)
            work = partial(self._write, minute, counters.since(minute.before), seconds, self._runner.pool_use(), self._queue_depth())
            # If the runner was closed, nobody waits any more.
            with suppress(StoreClosed):
                self.writing = self._runner.write(work, partial(self._written, minute), seconds_from_now(_WRITE_SECONDS))

    def _write(self, minute: _Minute, counted: Counters, seconds: float, pool: PoolUse, depth: int, db: Db) -> None:
        row = self._row(minute, counted, seconds, pool, depth)
        with db.transaction():
            db.insert(LOAD, "replace", [row])
            delete_old(db, time.time_ns() // 1000)

    def _row(self, minute: _Minute, counted: Counters, seconds: float, pool: PoolUse, depth: int) -> Row:
        found = summary(counted, seconds)
        p99, share = found.commit.p99_seconds, found.lock_wait_share
        cells = {
            "started_at": minute.started_at,
            "process": self._process,
            "seconds": max(1, round(seconds)),
            "writes": found.writes,
            "commits": found.commit.count,
            "bytes_written": found.bytes_written,
            "commit_p99_microseconds": None if p99 is None else round(p99 * 1_000_000),
            "lock_wait_microseconds": None if share is None else round(share * seconds * 1_000_000),
            "errors": sum(found.errors.values()),
            "retries": found.retries,
            "queue_depth": depth,
            "connections_in_use": pool.in_use,
            "connections_limit": pool.limit,
            "searched": json.dumps(dict(counted.searched.most_common(_MAX_SEARCHED))),
        }
        return tuple(cells[column.name] for column in LOAD.c)

    def _written(self, minute: _Minute, future: Future[None]) -> None:
        if (exc := future.exception()) is not None and self._minute is not None:
            # Its counts will be in the next row.
            self._minute = minute
            logger.info("the load of the last minute was not recorded: %s", exc, extra={"event": "load_not_recorded"})


def delete_old(db: Db, now: int) -> None:
    """Delete the rows that are older than 14 days (`now` in microseconds since 1970, UTC)."""
    db.run(sql.load.delete_before, {"before": now - KEPT_MICROSECONDS})
