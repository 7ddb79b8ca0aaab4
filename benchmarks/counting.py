"""Counts what ckptstore asks of its database: other load on the machine changes times, and none of these."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ckptstore.db.connection import Db, Rows

# A handler that is called more often would take its share of the time.
_EACH = 100


@dataclass
class Asked:
    """What was asked of databases meanwhile; asyncpg's own statements, of puts and gets on PostgreSQL, are not among it."""

    statements: int = 0
    #: What they gave.
    rows: int = 0
    #: Of SQLite's virtual machine, in hundreds: what it looked at, also where it gave nothing.
    steps: int = 0

    def count_steps(self) -> int:
        """Called by SQLite; 0 lets it go on."""
        self.steps += _EACH
        return 0


@contextmanager
def counted() -> Iterator[Asked]:
    """Count what every store of this process asks in this context."""
    asked = Asked()
    execute = Db.execute

    def counting(db: Db, text: str, arguments: Any = ()) -> Rows:
        driver = db.connection.connection.driver_connection
        if not isinstance(driver, sqlite3.Connection):
            found = execute(db, text, arguments)
        else:
            driver.set_progress_handler(asked.count_steps, _EACH)
            try:
                found = execute(db, text, arguments)
            finally:
                driver.set_progress_handler(None, 0)
        asked.statements += 1
        asked.rows += len(found.found)
        return found

    Db.execute = counting  # type: ignore[method-assign, assignment]
    try:
        yield asked
    finally:
        Db.execute = execute  # type: ignore[method-assign]
