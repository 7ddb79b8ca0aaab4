"""A runner for SQLite, with one writing worker thread and a few reading ones."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from sqlalchemy import URL

from ckptstore.db.abilities import Abilities
from ckptstore.db.busy_timeout import run_within
from ckptstore.db.connection import Db
from ckptstore.db.pool_use import PoolUse, pool_use
from ckptstore.db.retries import Deadline, Retries, seconds_from_now
from ckptstore.db.runner import Work
from ckptstore.db.settings import CLOSE_SECONDS, DatabaseSettings
from ckptstore.db.sqlite_connections import OWN_ERRORS, NoConnection, SqliteConnections
from ckptstore.db.sqlite_engine import holds_whole_database, sqlite_engine
from ckptstore.db.sqlite_file import SqliteFile
from ckptstore.db.statement import statements_for
from ckptstore.db.url import is_memory
from ckptstore.db.wal_checkpointer import WalCheckpointer
from ckptstore.errors import StoreClosed
from ckptstore.monitoring.monitor import Monitor
from ckptstore.runtime.fork import abandon, around_fork
from ckptstore.runtime.fork_guard import ForkGuard, Forking
from ckptstore.runtime.future import Future
from ckptstore.runtime.worker_threads import WorkerThreads

T = TypeVar("T")

logger = logging.getLogger(__name__)

# More readers than this only compete for the interpreter's lock.
_MAX_READERS = 4
# After these errors on a caller's thread, work is repeated on a worker thread, and reported there. Nothing else: it may be the exception of
# a caller's signal handler, which has to arrive.
_REPEATED = (*OWN_ERRORS, NoConnection, Forking)


class SqliteRunner:
    """SQLite: one worker thread writes, a few read. What a synchronous caller waits for may run on its own thread, see `try_write`."""

    may_wait = True
    max_batches = 1
    abilities = Abilities()

    def __init__(
        self, url: URL, settings: DatabaseSettings, schema: str | None = None, monitor: Monitor | None = None, *, read_only: bool = False
    ) -> None:
        self.url = url
        self.monitor = monitor or Monitor()
        self._read_only = read_only
        self._settings = settings
        self._schema = schema
        self._start()
        around_fork(before=self._before_fork, in_parent=self._after_fork, in_child=self._start_in_child)

    def _start(self) -> None:
        self._guard = ForkGuard()
        self._engine = sqlite_engine(self.url, self._settings, read_only=self._read_only)
        self._file = None if is_memory(self.url) else self._new_file()
        self.statements = statements_for(self._engine.dialect, self._schema)
        self._connections = SqliteConnections(self._engine, self.statements, self._file, _MAX_READERS, self._close_soon)
        self._wal = None if self._file is None else WalCheckpointer(self._read_after_look)
        # A database in memory has no lock to wait for.
        self._lock_waits = None if self._file is None else self.monitor.lock_waits
        self._retries = Retries(self.url, self._settings, self.monitor, on_file=True)
        self._writer = WorkerThreads("ckptstore-write", 1)
        readers = min(self._settings.pool_size, _MAX_READERS)
        # A database in memory is one connection: all of its work runs one at a time on one worker thread.
        self._readers = self._writer if is_memory(self.url) else WorkerThreads("ckptstore-read", readers)

    def _new_file(self) -> SqliteFile:
        return SqliteFile(str(self.url.database), partial(holds_whole_database, self._engine), creates=not self._read_only)

    # --- work on worker threads

    def read(self, work: Work[T]) -> Future[T]:
        # `seconds_from_now`, without the call.
        deadline = partial(float, time.monotonic() + self._settings.retry_seconds)
        attempt = partial(run_within, work, deadline, self._settings)
        return self._readers.submit(
            partial(self._retries.run, deadline, self._guard.run, self._connections.run, self._connections.readers, attempt)
        )

    def _read_after_look(self, work: Work[T]) -> Future[T]:
        """Like `read`, but look at the file first, whenever it was looked at last."""
        return self.read(partial(self._look_and_run, work))

    def _look_and_run(self, work: Work[T], db: Db) -> T:
        # The log is copied back by this: that would hide that the file was truncated.
        if self._file is not None:
            self._file.look()
        return work(db)

    def write(self, work: Work[T], on_done: Callable[[Future[T]], object] | None = None, deadline: Deadline | None = None) -> Future[T]:
        return self._writer.submit(partial(self.write_here, work, deadline or seconds_from_now(self._settings.retry_seconds)), on_done)

    def write_here(self, work: Work[T], deadline: Deadline) -> T:
        attempt = partial(self._write, work, deadline)
        result: T = self._retries.run(deadline, self._guard.run, self._connections.run, self._connections.writers, attempt)
        return result

    def _write(self, work: Work[T], deadline: Deadline, db: Db) -> T:
        if self._lock_waits is not None and self._lock_waits.is_due:
            run_within(self._measure_lock, deadline, self._settings, db)
        result = run_within(work, deadline, self._settings, db)
        # Nothing is acknowledged before the file was looked at.
        if self._file is not None and self._wal is not None:
            self._file.look()
            self._wal.wrote(db)
        return result

    def _measure_lock(self, db: Db) -> None:
        assert self._lock_waits is not None
        with self._lock_waits.measured():
            db.execute("BEGIN IMMEDIATE")
        db.execute("COMMIT")

    def call_soon(self, function: Callable[[], object]) -> None:
        self._writer.call_soon(function)

    def _close_soon(self, db: Db) -> None:
        # If the runner was closed, the garbage collector closes it.
        with suppress(StoreClosed):
            self._writer.call_soon(db.connection.close)

    def call_later(self, seconds: float, function: Callable[[], object]) -> None:
        raise NotImplementedError("SQLite stores one batch at a time")

    # --- work on the threads of callers, who may be interrupted at any bytecode

    def try_read(self, work: Work[T]) -> tuple[T] | None:
        if self._file is None:
            # One connection, which the worker thread may be using.
            return None
        try:
            attempt = partial(run_within, work, seconds_from_now(self._settings.retry_seconds), self._settings)
            return (self._guard.run_on_caller(self._connections.run_on_caller, self._connections.readers, attempt),)
        except _REPEATED:
            return None

    def try_write(self, work: Work[bool]) -> bool:
        if self._file is None:
            return False
        try:
            attempt = partial(self._write, work, seconds_from_now(self._settings.retry_seconds))
            return bool(self._guard.run_on_caller(self._connections.run_on_caller, self._connections.writers, attempt))
        except _REPEATED:
            return False

    def pool_use(self) -> PoolUse:
        kept = len(self._connections.writers) + len(self._connections.readers)
        return pool_use(self._engine.pool, kept, 1 + min(self._settings.pool_size, _MAX_READERS))

    # --- forks

    def _before_fork(self) -> None:
        # SQLite keeps its locks in the process. A child that inherits an open file believes that it holds them too, and
        # the parent, closing the file as its last user, would delete the log that the child writes to.
        self._guard.begin_fork()
        if self._file is not None:
            self._connections.close_idle()
            self._file.closed()

    def _after_fork(self) -> None:
        self._guard.end_fork()

    def _start_in_child(self) -> None:
        abandon(dict(self.__dict__))
        self._start()

    # --- closing

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        until = time.monotonic() + seconds
        # The writer first: it may still submit a checkpoint of the log to a reader.
        ended = self._writer.close(seconds)
        ended = self._readers.close(max(0.0, until - time.monotonic())) and ended
        if not ended:
            logger.warning("a worker thread of SQLite does not answer; it is left behind", extra={"event": "worker_left_behind"})
        self._connections.close()
