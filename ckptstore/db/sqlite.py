"""SQLite: its engine, and a runner with one writing worker thread and a few reading ones."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import URL, Engine, StaticPool, event
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from ckptstore.db.busy_timeout import limit_wait, run_within
from ckptstore.db.connection import Db
from ckptstore.db.observe import is_observed
from ckptstore.db.retries import Deadline, Retries, seconds_from_now
from ckptstore.db.runner import Work
from ckptstore.db.settings import CLOSE_SECONDS, DatabaseSettings
from ckptstore.db.sqlite_file import SqliteFile
from ckptstore.db.statement import Statements
from ckptstore.db.url import is_memory
from ckptstore.db.wal_checkpointer import MAX_PAGES, WalCheckpointer
from ckptstore.runtime.fork import abandon, around_fork
from ckptstore.runtime.future import Future
from ckptstore.runtime.private_files import create_private_file
from ckptstore.runtime.worker_threads import WorkerThreads

T = TypeVar("T")

logger = logging.getLogger(__name__)

# More readers than this only compete for the interpreter's lock.
_MAX_READERS = 4
# SQLite's smallest page, in bytes: no database is shorter.
_SMALLEST_PAGE = 512


def sqlite_engine(url: URL, settings: DatabaseSettings) -> Engine:
    """A synchronous engine on a SQLite file (or on memory: then one connection, shared).

    Connections are in autocommit: transactions are opened by `Db.transaction()`, and only there.
    """
    connect_args = {
        "check_same_thread": False,
        "cached_statements": 256,
        **settings.connect_args,
    }
    pool: dict[str, Any] = {"poolclass": StaticPool} if is_memory(url) else {"poolclass": QueuePool, "pool_size": settings.pool_size + 1}
    # By its module: instrumentation replaces the function there.
    engine = sqlalchemy.create_engine(
        url.set(drivername="sqlite+pysqlite"),
        connect_args=connect_args,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        **pool,
    )
    if not is_memory(url):
        _create_privately(engine)
    configure_connections(engine, settings, wal_autocheckpoint=MAX_PAGES)
    return engine


def _create_privately(engine: Engine) -> None:
    """Let only the owner open a file that does not exist yet. SQLite gives the log and the shared memory beside it the same permissions."""

    @event.listens_for(engine, "do_connect")
    def create(*_arguments: Any) -> None:
        # SQLite reports why a file can't be created.
        with suppress(OSError):
            create_private_file(str(engine.url.database))


def configure_connections(engine: Engine, settings: DatabaseSettings, *, wal_autocheckpoint: int) -> None:
    """Make every new connection durable, and a file usable by readers and a writer at the same time.

    Args:
        engine: of a SQLite database.
        settings: `synchronous` and `busy_timeout_seconds`.
        wal_autocheckpoint: pages of the write-ahead log at which a commit makes a checkpoint itself.
    """

    @event.listens_for(engine, "connect")
    def configure(dbapi_connection: Any, entry: ConnectionPoolEntry) -> None:
        cursor = dbapi_connection.cursor()
        limit_wait(cursor, entry, settings)
        if not is_memory(engine.url):
            cursor.execute("PRAGMA page_count")
            if cursor.fetchone()[0] == 0:
                # Before the first table: deleted pages can then be given back to the file system. Later it would only take the write lock.
                cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
            _switch_to_wal(cursor, min(settings.busy_timeout_seconds, settings.retry_seconds))
            cursor.execute(f"PRAGMA wal_autocheckpoint={wal_autocheckpoint}")
        cursor.execute(f"PRAGMA synchronous={settings.synchronous}")
        cursor.close()


def _switch_to_wal(cursor: Any, timeout_seconds: float) -> None:
    # The switch needs the file alone, and SQLite's busy handler does not wait for it: two processes that
    # open a fresh file at once would see 'database is locked'.
    for attempt in Retrying(
        retry=retry_if_exception(lambda exc: "locked" in str(exc)),
        stop=stop_after_delay(timeout_seconds),
        wait=wait_random(0.001, 0.02),
        reraise=True,
    ):
        with attempt:
            cursor.execute("PRAGMA journal_mode")
            if cursor.fetchone()[0] != "wal":
                cursor.execute("PRAGMA journal_mode=WAL")


class SqliteRunner:
    """SQLite: one worker thread writes, a few read. Each keeps its connection from one work to the next."""

    may_wait = True
    max_batches = 1

    def __init__(self, url: URL, settings: DatabaseSettings, schema: str | None = None) -> None:
        self.url = url
        self._settings = settings
        self._schema = schema
        self._start()
        around_fork(before=self._before_fork, in_parent=self._after_fork, in_child=self._start_in_child)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._resumed = threading.Condition(self._lock)
        self._running = 0
        self._forking = False
        #: By the identifier of the worker thread.
        self._kept: dict[int, Db] = {}
        self._file = None if is_memory(self.url) else SqliteFile(str(self.url.database), self._holds_whole_database)
        self._wal = None if self._file is None else WalCheckpointer(self._read_after_look)
        self._engine = sqlite_engine(self.url, self._settings)
        self.statements = Statements(self._engine.dialect, self._schema)
        self._retries = Retries(self.url, self._settings, on_file=True)
        self._writer = WorkerThreads("ckptstore-write", 1)
        readers = min(self._settings.pool_size, _MAX_READERS)
        # A database in memory is one connection: all of its work runs one at a time on one worker thread.
        self._readers = self._writer if is_memory(self.url) else WorkerThreads("ckptstore-read", readers)

    # --- work

    def read(self, work: Work[T]) -> Future[T]:
        deadline = seconds_from_now(self._settings.retry_seconds)
        return self._readers.submit(partial(self._retries.run, deadline, self._attempt, self._run_read, work, deadline))

    def _read_after_look(self, work: Work[T]) -> Future[T]:
        """Like `read`, but look at the file first, whenever it was looked at last."""
        deadline = seconds_from_now(self._settings.retry_seconds)
        return self._readers.submit(partial(self._retries.run, deadline, self._attempt, self._run_after_look, work, deadline))

    def write(self, work: Work[T], on_done: Callable[[Future[T]], object] | None = None, deadline: Deadline | None = None) -> Future[T]:
        return self._writer.submit(partial(self.write_here, work, deadline or seconds_from_now(self._settings.retry_seconds)), on_done)

    def write_here(self, work: Work[T], deadline: Deadline) -> T:
        result: T = self._retries.run(deadline, self._attempt, self._run_write, work, deadline)
        return result

    def call_soon(self, function: Callable[[], object]) -> None:
        self._writer.call_soon(function)

    def call_later(self, seconds: float, function: Callable[[], object]) -> None:
        raise NotImplementedError("SQLite stores one batch at a time")

    def _attempt(self, run: Callable[[Work[T], Deadline], T], work: Work[T], deadline: Deadline) -> T:
        """Run work, but not while the process forks."""
        with self._lock:
            while self._forking:
                self._resumed.wait()
            self._running += 1
        try:
            return run(work, deadline)
        finally:
            with self._lock:
                self._running -= 1
                if self._forking:
                    self._resumed.notify_all()

    def _run(self, work: Work[T], deadline: Deadline) -> T:
        worker = threading.get_ident()
        observed = is_observed(self._engine)
        db = self._kept.pop(worker, None)
        if db is None or observed or db.observed:
            db = self._connect(db, observed=observed)
        try:
            result: T = run_within(work, deadline, self._settings, db)
        except BaseException as exc:
            db.connection.close()
            if self._file is not None and isinstance(exc, Exception):
                # The cause, if it is: SQLite only reports a malformed database, or that there are no tables.
                self._file.look()
            raise
        self._kept[worker] = db
        return result

    def _connect(self, kept: Db | None, *, observed: bool) -> Db:
        # SQLAlchemy decides what a connection logs when the connection is opened.
        if kept is not None:
            kept.connection.close()
        if self._file is None:
            return Db(self._engine.connect(), self.statements, observed=observed)
        self._file.look_before_opening()
        connection = self._engine.connect()
        try:
            self._file.look()
        except BaseException:
            connection.close()
            raise
        return Db(connection, self.statements, observed=observed)

    def _run_read(self, work: Work[T], deadline: Deadline) -> T:
        if self._file is not None and time.monotonic() >= self._file.look_again_at:
            self._file.look()
        return self._run(work, deadline)

    def _run_after_look(self, work: Work[T], deadline: Deadline) -> T:
        # The log is copied back by this: that would hide that the file was truncated.
        if self._file is not None:
            self._file.look()
        return self._run(work, deadline)

    def _run_write(self, work: Work[T], deadline: Deadline) -> T:
        result = self._run(work, deadline)
        if self._file is not None and self._wal is not None:
            # Before anything is acknowledged.
            self._file.look()
            self._wal.wrote(self._kept[threading.get_ident()])
        return result

    def _holds_whole_database(self, size: int) -> bool:
        """Whether the file, of so many bytes, has all pages of the database, apart from those that are still in the log."""
        if size < _SMALLEST_PAGE:
            # To open an empty file would delete its log.
            return False
        # A new connection: those that are open may have the pages in their caches.
        pool = self._engine.pool.recreate()
        try:
            with closing(pool.connect()) as connection, closing(connection.cursor()) as cursor:
                ((pages,),) = cursor.execute("PRAGMA page_count").fetchall()
                ((page_bytes,),) = cursor.execute("PRAGMA page_size").fetchall()
                # A shorter one may be whole, too: what was written after a vacuum is in the log.
                return bool(size >= pages * page_bytes or cursor.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)])
        except sqlite3.DatabaseError:
            return False
        finally:
            pool.dispose()

    def _release_kept(self) -> None:
        while self._kept:
            self._kept.popitem()[1].connection.close()

    # --- forks

    def _before_fork(self) -> None:
        # SQLite keeps its locks in the process. A child that inherits an open file believes that it holds them too, and
        # the parent, closing the file as its last user, would delete the log that the child writes to.
        with self._lock:
            self._forking = True
            self._resumed.wait_for(lambda: self._running == 0)
        if not is_memory(self.url):
            self._release_kept()
            self._engine.dispose()
            if self._file is not None:
                self._file.closed()

    def _after_fork(self) -> None:
        with self._lock:
            self._forking = False
            self._resumed.notify_all()

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
        # Those of worker threads that were left behind are neither kept nor in the pool.
        self._release_kept()
        self._engine.dispose()
