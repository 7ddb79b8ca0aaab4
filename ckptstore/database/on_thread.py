"""SQLite: one writing thread, a few reading ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from sqlalchemy import URL, Connection, Dialect

from ckptstore.config import DatabaseSettings, is_memory
from ckptstore.database.protocol import Work
from ckptstore.database.retries import Retries
from ckptstore.engine import sqlite_engine
from ckptstore.errors import StoreClosed
from ckptstore.forking import abandon, around_fork
from ckptstore.wal import WriteAheadLog

T = TypeVar("T")

# More readers than this only take turns at the interpreter's lock.
_SQLITE_READERS = 4


class ThreadDatabase:
    """SQLite: one writing thread, a few reading ones."""

    may_wait = True

    def __init__(self, url: URL, settings: DatabaseSettings) -> None:
        self.url = url
        self._settings = settings
        self._start()
        around_fork(before=self._before_fork, in_parent=self._after_fork, in_child=self._start_again)

    def _start(self) -> None:
        self._gate = threading.Condition()
        self._running = 0
        self._forking = False
        self._kept: Connection | None = None
        self._wal = None if is_memory(self.url) else WriteAheadLog(self.read)
        self._engine = sqlite_engine(self.url, self._settings)
        self.dialect: Dialect = self._engine.dialect
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
            return work(connection)

    def _write(self, work: Work[T]) -> T:
        # One thread writes, batch after batch: it keeps its connection, but for one that something went wrong on.
        connection, self._kept = self._kept or self._engine.connect(), None
        try:
            result = work(connection)
        except BaseException:
            connection.close()
            raise
        self._kept = connection
        if self._wal is not None:
            self._wal.wrote(connection)
        return result

    def _let_go(self) -> None:
        if self._kept is not None:
            self._kept.close()
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
