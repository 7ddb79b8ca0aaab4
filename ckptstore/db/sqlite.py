"""SQLite: its engine, and a runner with one writing worker thread and a few reading ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import URL, Engine, StaticPool, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from ckptstore.db.handle import Db
from ckptstore.db.retries import Retries
from ckptstore.db.runner import Work
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.statement import Statements
from ckptstore.db.url import is_memory
from ckptstore.db.wal_checkpointer import MOST_PAGES, WriteAheadLog
from ckptstore.errors import StoreClosed
from ckptstore.runtime.fork import abandon, around_fork

T = TypeVar("T")

# More readers than this only take turns at the interpreter's lock.
_SQLITE_READERS = 4


def sqlite_engine(url: URL, settings: DatabaseSettings) -> Engine:
    """A synchronous engine on a SQLite file (or on memory: then one connection, shared).

    Connections are in autocommit: transactions are opened by `transaction()`, and only there.
    """
    connect_args = {
        "check_same_thread": False,
        "timeout": settings.busy_timeout_seconds,
        "cached_statements": 256,
        **settings.connect_args,
    }
    pool: dict[str, Any] = {"poolclass": StaticPool} if is_memory(url) else {"poolclass": QueuePool, "pool_size": settings.pool_size + 1}
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        connect_args=connect_args,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        **pool,
    )

    @event.listens_for(engine, "connect")
    def tune(dbapi_connection: Any, _entry: ConnectionPoolEntry) -> None:
        cursor = dbapi_connection.cursor()
        if not is_memory(url):
            # Before the first table: deleted pages can then be given back to the file system.
            cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
            _switch_to_wal(cursor, settings.busy_timeout_seconds)
            cursor.execute(f"PRAGMA wal_autocheckpoint={MOST_PAGES}")
        cursor.execute(f"PRAGMA synchronous={settings.synchronous}")
        cursor.close()

    return engine


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
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                cursor.execute("PRAGMA journal_mode=WAL")


class SqliteRunner:
    """SQLite: one writing thread, a few reading ones."""

    may_wait = True

    def __init__(self, url: URL, settings: DatabaseSettings, schema: str | None = None) -> None:
        self.url = url
        self._settings = settings
        self._schema = schema
        self._start()
        around_fork(before=self._before_fork, in_parent=self._after_fork, in_child=self._start_again)

    def _start(self) -> None:
        self._gate = threading.Condition()
        self._running = 0
        self._forking = False
        self._kept: Db | None = None
        self._wal = None if is_memory(self.url) else WriteAheadLog(self.read)
        self._engine = sqlite_engine(self.url, self._settings)
        self.statements = Statements(self._engine.dialect, self._schema)
        self._faults = Retries(self.url, self._settings)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="ckptstore-write")
        readers = min(self._settings.pool_size, _SQLITE_READERS)
        # A database in memory is one connection: all of its work takes turns on one thread.
        self._readers = self._writer if is_memory(self.url) else ThreadPoolExecutor(readers, thread_name_prefix="ckptstore-read")

    def read(self, work: Work[T]) -> Future[T]:
        return self._submit(self._readers, self._read, work)

    def write(self, work: Work[T]) -> Future[T]:
        return self._submit(self._writer, self._write, work)

    def _submit(self, pool: ThreadPoolExecutor, run: Callable[[Work[T]], T], work: Work[T]) -> Future[T]:
        try:
            return pool.submit(self._faults.run, partial(self._unless_forking, run, work))
        except RuntimeError as exc:
            raise StoreClosed from exc

    def _unless_forking(self, run: Callable[[Work[T]], T], work: Work[T]) -> T:
        with self._gate:
            while self._forking:
                self._gate.wait()
            self._running += 1
        try:
            return run(work)
        finally:
            with self._gate:
                self._running -= 1
                if self._forking:
                    self._gate.notify_all()

    def _read(self, work: Work[T]) -> T:
        with self._engine.connect() as connection:
            return work(Db(connection, self.statements))

    def _write(self, work: Work[T]) -> T:
        # One thread writes, batch after batch: it keeps its connection, but for one that something went wrong on.
        db, self._kept = self._kept or Db(self._engine.connect(), self.statements), None
        try:
            result = work(db)
        except BaseException:
            db.connection.close()
            raise
        self._kept = db
        if self._wal is not None:
            self._wal.wrote(db)
        return result

    def _let_go(self) -> None:
        if self._kept is not None:
            self._kept.connection.close()
            self._kept = None

    def _before_fork(self) -> None:
        # SQLite keeps its locks in the process. A child that inherits an open file believes that it holds them too, and
        # the parent, closing the file as its last user, would delete the log that the child writes to.
        with self._gate:
            self._forking = True
            self._gate.wait_for(lambda: self._running == 0)
        if not is_memory(self.url):
            self._let_go()
            self._engine.dispose()

    def _after_fork(self) -> None:
        with self._gate:
            self._forking = False
            self._gate.notify_all()

    def _start_again(self) -> None:
        abandon(dict(self.__dict__))
        self._start()

    def close(self) -> None:
        # First who may still ask the others for something.
        self._writer.shutdown()
        self._readers.shutdown()
        self._let_go()
        self._engine.dispose()
