"""The interface that runs work on a database, from any worker thread or event loop.

Work is a plain function of a `Db`, so that every query is written once. SQLite runs it on a worker thread (one switch of threads for a
whole batch, where an async driver switches for every statement); PostgreSQL runs it on an event loop of its own, with an async driver.
Callers get a `concurrent.futures.Future`. Work never needs the caller's own thread or loop, so a synchronous call inside a running loop
can't deadlock.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar

from sqlalchemy import URL

from ckptstore.db.connection import Db
from ckptstore.db.statement import Statements

T = TypeVar("T")
Work = Callable[[Db], T]


class Runner(Protocol):
    """Runs work. Its connections are in autocommit; `Db.transaction()` opens transactions on them."""

    url: URL
    statements: Statements
    #: Whether work that writes has a worker thread of its own, where it may block without delaying other work.
    may_wait: bool

    def read(self, work: Work[T]) -> Future[T]:
        """Run work that reads, in parallel with other work."""
        ...

    def write(self, work: Work[T]) -> Future[T]:
        """Run work that writes; on SQLite, one at a time. It may run again after a transient fault."""
        ...

    def close(self) -> None:
        """Close every connection and worker thread; blocks until they have ended."""
        ...
