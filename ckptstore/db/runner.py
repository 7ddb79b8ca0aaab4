"""Running work on a database from anywhere: any thread, any event loop, or none.

Work is a plain function of a `Db`, so that every query is written once. SQLite runs it on a worker thread (one hop for a whole batch,
where an async driver hops for every statement); PostgreSQL runs it on an event loop of its own, under an async driver. Callers get a
`concurrent.futures.Future`, and no call ever waits for the caller's own thread or loop: a synchronous call beneath a running loop
can't deadlock.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar

from sqlalchemy import URL

from ckptstore.db.handle import Db
from ckptstore.db.statement import Statements

T = TypeVar("T")
Work = Callable[[Db], T]


class Runner(Protocol):
    """Where work runs. Connections come in autocommit; `Db.transaction()` opens transactions on them."""

    url: URL
    statements: Statements
    #: Whether work that writes runs on a worker thread of its own, and may wait there without keeping others from theirs.
    may_wait: bool

    def read(self, work: Work[T]) -> Future[T]:
        """Run work that reads, in parallel with other work."""
        ...

    def write(self, work: Work[T]) -> Future[T]:
        """Run work that writes, with SQLite one after the other. It may run again after a transient fault."""
        ...

    def close(self) -> None:
        """Close every connection and worker thread; blocks until they have ended."""
        ...
