"""What a database is to those who have work for it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar

from sqlalchemy import URL, Connection, Dialect

T = TypeVar("T")
Work = Callable[[Connection], T]


class Database(Protocol):
    """Where work runs. Connections come in autocommit; `engine.transaction()` opens transactions on them."""

    url: URL
    dialect: Dialect
    #: Whether work that writes runs on a thread of its own, and may wait there without keeping others from theirs.
    may_wait: bool

    def read(self, work: Work[T]) -> Future[T]:
        """Run work that reads, in parallel with other work."""
        ...

    def write(self, work: Work[T]) -> Future[T]:
        """Run work that writes, with SQLite one after the other. It may run again after a passing fault."""
        ...

    def close(self) -> None:
        """Close every connection and thread; blocks until they have ended."""
        ...
