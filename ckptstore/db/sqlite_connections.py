"""The open connections of a SQLite database, which threads use in turn."""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from ckptstore.db.connection import Db
from ckptstore.db.error_mapping import ConnectionLost
from ckptstore.db.observe import is_observed
from ckptstore.db.runner import Work
from ckptstore.db.sqlite_file import SqliteFile
from ckptstore.db.statement import Statements
from ckptstore.errors import CkptStoreError

T = TypeVar("T")

#: What work itself raises. Any other exception on a caller's thread is one that a signal handler raised, or an error of the work's code.
OWN_ERRORS = (sqlite3.Error, UnicodeDecodeError, SQLAlchemyError, ConnectionLost, CkptStoreError)


class NoConnection(Exception):
    """No connection is open that a caller may use on its own thread."""


class SqliteConnections:
    """Connections that stay open from one work to the next.

    Each use takes one out of a deque, and puts it back: a caller that is interrupted in between loses a connection, never a lock.
    The last one that was put back is the first to be taken, since it has the newest pages in its cache.

    Args:
        engine: of the database.
        statements: compiled for it.
        file: the database's file; None for a database in memory, which is one connection.
        max_idle: how many of each kind stay open.
        close_soon: gives a connection back to the pool, on a worker thread. Were the last one closed, SQLite would delete the log.
    """

    def __init__(
        self, engine: Engine, statements: Statements, file: SqliteFile | None, max_idle: int, close_soon: Callable[[Db], object]
    ) -> None:
        self._engine = engine
        self._statements = statements
        self._file = file
        self._max_idle = max_idle
        self._close_soon = close_soon
        self._closed = False
        #: Idle ones. Those that write are others than those that read, as their caches stay valid.
        self.writers: deque[Db] = deque()
        self.readers: deque[Db] = self.writers if file is None else deque()

    def run(self, idle: deque[Db], work: Work[T]) -> T:
        """Run work on an idle connection, or on a new one; on a worker thread. From time to time the file is looked at first.

        Args:
            idle: `writers` or `readers`.
            work: the work.
        """
        observed = is_observed(self._engine)
        try:
            db: Db | None = idle.pop()
        except IndexError:
            db = None
        if db is None or observed or db.observed:
            db = self._open(db, observed=observed)
        try:
            if self._file is not None and time.monotonic() >= self._file.look_again_at:
                self._file.look()
            result = work(db)
        except BaseException as exc:
            self._release(db)
            if self._file is not None and isinstance(exc, Exception):
                # The cause, if it is: SQLite only reports a malformed database, or that there are no tables.
                self._file.look()
            raise
        if len(idle) >= self._max_idle or self._closed:
            self._release(db)
        else:
            idle.append(db)
        return result

    def run_on_caller(self, idle: deque[Db], work: Work[T]) -> T:
        """Run work on an idle connection, on the thread of a caller, who may be interrupted at any bytecode.

        Args:
            idle: `writers` or `readers`.
            work: executes one statement, or one transaction.

        Raises:
            NoConnection: none is idle, or the engine is observed, so that another one has to be opened: that takes locks.
        """
        db = None if is_observed(self._engine) else _take(idle)
        if db is None:
            raise NoConnection
        if db.observed:
            idle.append(db)
            raise NoConnection
        try:
            if self._file is not None and time.monotonic() >= self._file.look_again_at:
                self._file.look()
            result = work(db)
        except BaseException as exc:
            if isinstance(exc, OWN_ERRORS) and not db.connection.invalidated:
                # A statement that failed by itself. If the connection is bad, the attempt that repeats the work closes it.
                self._put_back(idle, db)
            else:
                # The connection may be within a transaction. To return it to the pool takes locks, too.
                self._close_soon(db)
            raise
        self._put_back(idle, db)
        return result

    def _put_back(self, idle: deque[Db], db: Db) -> None:
        idle.append(db)
        if self._closed:
            # `close` may have come before.
            self.close_idle()

    def _open(self, idle: Db | None, *, observed: bool) -> Db:
        # SQLAlchemy decides what a connection logs when the connection is opened.
        if idle is not None:
            idle.connection.close()
        if self._file is None:
            return self._db(self._engine.connect(), observed=observed)
        self._file.look_before_opening()
        connection = self._engine.connect()
        try:
            self._file.look()
        except BaseException:
            connection.close()
            raise
        return self._db(connection, observed=observed)

    def _db(self, connection: Connection, *, observed: bool) -> Db:
        db = Db(connection, self._statements, observed=observed, runs_apart=False)
        db.kept = connection.info
        return db

    def close_idle(self) -> None:
        """Close the idle connections."""
        for idle in (self.writers, self.readers):
            while (db := _take(idle)) is not None:
                self._release(db)
        self._engine.dispose()

    def _release(self, db: Db) -> None:
        """Give a connection back to the pool. After `close`, that is not the pool it came from, which nobody would empty again."""
        if self._closed and not db.connection.closed and not db.connection.invalidated:
            db.connection.detach()
        db.connection.close()

    def close(self) -> None:
        """Close the idle connections, and the others once they are put back."""
        self._closed = True
        self.close_idle()


def _take(idle: deque[Db]) -> Db | None:
    try:
        return idle.pop()
    except IndexError:
        return None
