"""The SQLite file behind an engine that the caller owns: a loss of it is noticed as under a saver's own connections."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from ckptstore.db.connection import Db
from ckptstore.db.runner import Work
from ckptstore.db.sqlite_engine import holds_whole_database
from ckptstore.db.sqlite_file import SqliteFile
from ckptstore.db.url import sqlite_path

T = TypeVar("T")


class AdoptedFile:
    """Looks at the file before a connection is taken, after each write, and now and then when reading.

    Args:
        engine: with a pool of our own, which has opened no connection yet.
    """

    def __init__(self, engine: Engine) -> None:
        path = sqlite_path(engine.url)
        # Not through the engine: its driver needs a loop.
        plain = create_engine(URL.create("sqlite+pysqlite", database=os.path.abspath(path)))
        self._file = SqliteFile(path, partial(holds_whole_database, plain))
        self._open_connections = 0
        event.listen(engine, "connect", self._opened)
        event.listen(engine, "close", self._closed)

    def look_before_opening(self) -> None:
        """See `SqliteFile.look_before_opening`."""
        self._file.look_before_opening()

    def run_read(self, work: Work[T], db: Db) -> T:
        """Run work that reads."""
        if time.monotonic() >= self._file.look_again_at:
            self._file.look()
        return self._run(work, db)

    def run_write(self, work: Work[T], db: Db) -> T:
        """Run work that writes. It counts as done if its file is there after it."""
        result = self._run(work, db)
        self._file.look()
        return result

    def _run(self, work: Work[T], db: Db) -> T:
        try:
            return work(db)
        except Exception:
            # The cause, if it is: SQLite only reports a malformed database, or that there are no tables.
            self._file.look()
            raise

    def _opened(self, _connection: Any, _entry: ConnectionPoolEntry) -> None:
        self._open_connections += 1

    def _closed(self, _connection: Any, _entry: ConnectionPoolEntry) -> None:
        self._open_connections -= 1
        if not self._open_connections:
            # A pool may keep none: SQLite deletes the log with the last one.
            self._file.closed()
