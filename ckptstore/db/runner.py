"""The interface that runs work on a database, from any worker thread or event loop.

Work is a plain function of a `Db`, so that every query is written once. SQLite runs it on a worker thread (one switch of threads for a
whole batch, where an async driver switches for every statement); PostgreSQL runs it on an event loop of its own, with an async driver.
Callers get a `Future`. Work never needs the caller's own thread or loop, so a synchronous call inside a running loop can't deadlock; and
callers take no lock, so one that is interrupted (KeyboardInterrupt) leaves the runner usable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import URL

from ckptstore.db.abilities import Abilities
from ckptstore.db.connection import Db
from ckptstore.db.pool_use import PoolUse
from ckptstore.db.retries import Deadline
from ckptstore.db.settings import CLOSE_SECONDS
from ckptstore.db.statement import Statements
from ckptstore.monitoring.monitor import Monitor
from ckptstore.runtime.future import Future

T = TypeVar("T")
Work = Callable[[Db], T]


class Runner(Protocol):
    """Runs work. Its connections are in autocommit; `Db.transaction()` opens transactions on them."""

    url: URL
    statements: Statements
    #: Counts what is done on this database.
    monitor: Monitor
    #: Whether work that writes has a worker thread of its own, where it may block without delaying other work.
    may_wait: bool
    #: How many batches of writes may be under way at a time, each on a connection of its own.
    max_batches: int
    #: What the database can do, once a store has looked.
    abilities: Abilities

    def read(self, work: Work[T]) -> Future[T]:
        """Run work that reads, in parallel with other work."""
        ...

    def write(self, work: Work[T], on_done: Callable[[Future[T]], object] | None = None, deadline: Deadline | None = None) -> Future[T]:
        """Run work that writes; on SQLite, one at a time. It may run again after a transient fault.

        Args:
            work: the work.
            on_done: called with the future on the worker thread or loop, before any other callback.
            deadline: until when the work is repeated; by default for `retry_seconds`.
        """
        ...

    def write_here(self, work: Work[T], deadline: Deadline) -> T:
        """Like `write`, but run it now and return its result; only where `may_wait`, and from a function of `call_soon`."""
        ...

    def try_read(self, work: Work[T]) -> tuple[T] | None:
        """Run work that reads on the thread of a caller, who may be interrupted at any bytecode, and return its result.

        None if that is not possible, or failed: then `read` it.
        """
        ...

    def try_write(self, work: Work[bool]) -> bool:
        """Run work that executes one statement, or one transaction, on the thread of a caller, and return its result.

        The caller may be interrupted at any bytecode. It waits a second for a lock at most. False if that is not possible, or failed: then
        `write` it.
        """
        ...

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call a function soon, on the worker thread or loop on which writes run. Functions are called in order, one at a time."""
        ...

    def call_later(self, seconds: float, function: Callable[[], object]) -> None:
        """Like `call_soon`, after so many seconds; only where `max_batches` is above 1, and from that worker thread or loop."""
        ...

    def pool_use(self) -> PoolUse:
        """How many connections are used and idle just now."""
        ...

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Wait for the work that is under way, and close every connection and worker thread; blocks.

        Args:
            seconds: how long to wait; what still runs then is left behind, and its connection with it.
        """
        ...
