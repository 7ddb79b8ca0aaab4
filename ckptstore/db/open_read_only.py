"""A database that is opened only to be looked at: every work runs in a transaction in which the database itself refuses to write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NoReturn, TypeVar

from sqlalchemy import URL

from ckptstore.db import schema as schemas
from ckptstore.db.abilities import Abilities
from ckptstore.db.connection import Db
from ckptstore.db.open import open_database
from ckptstore.db.pool_use import PoolUse
from ckptstore.db.retries import Deadline
from ckptstore.db.runner import Runner, Work
from ckptstore.db.settings import CLOSE_SECONDS, DatabaseSettings
from ckptstore.errors import StatementRefused
from ckptstore.runtime.future import Future

T = TypeVar("T")


def open_read_only(url: URL, settings: DatabaseSettings, schema: str | None = None) -> Runner:
    """The database of a URL that `parse_database_url` made, for reading only. A SQLite file has to exist.

    A SQLite file is opened with `mode=ro`. On PostgreSQL each work is one `READ ONLY` transaction, and not a session that is
    read-only: behind a pooler, the next transaction of that session may be somebody else's.

    Raises:
        InvalidConfig: the database can't have a schema of this name.
        SchemaOutOfDate: it has an older revision than this release needs, or none.
        SchemaTooNew: it has a revision that this release does not know.
    """
    runner = open_database(url, settings, schema, read_only=True)
    try:
        # Not in a transaction: that would fail as a whole where the table of the revision is missing.
        runner.read(schemas.require_head).result()
    except BaseException:
        runner.close()
        raise
    return ReadOnlyRunner(runner)


class ReadOnlyRunner:
    """Runs each work in a snapshot that can't be written to.

    Args:
        runner: the database's own.
    """

    may_wait = False
    max_batches = 1
    abilities = Abilities()

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.url = runner.url
        self.statements = runner.statements
        self.monitor = runner.monitor

    def read(self, work: Work[T]) -> Future[T]:
        return self._runner.read(partial(_run_in_snapshot, work))

    def write(self, work: Work[T], on_done: Callable[[Future[T]], object] | None = None, deadline: Deadline | None = None) -> Future[T]:
        """Like `read`: checks of the schema run as work that may write."""
        future = self.read(work)
        if on_done is not None:
            future.add_done_callback(on_done)
        return future

    def write_here(self, work: Work[T], deadline: Deadline) -> T:
        _refuse()

    def try_read(self, work: Work[T]) -> tuple[T] | None:
        return None

    def try_write(self, work: Work[bool]) -> bool:
        return False

    def call_soon(self, function: Callable[[], object]) -> None:
        self._runner.call_soon(function)

    def call_later(self, seconds: float, function: Callable[[], object]) -> None:
        _refuse()

    def pool_use(self) -> PoolUse:
        return self._runner.pool_use()

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        self._runner.close(seconds)


class _SnapshotDb(Db):
    """A connection within a snapshot: whatever is read, is read from it."""

    __slots__ = ()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        yield

    @contextmanager
    def transaction(self) -> Iterator[None]:
        _refuse()
        yield


def _run_in_snapshot(work: Work[T], db: Db) -> T:
    with db.snapshot():
        return work(
            _SnapshotDb(
                db.connection, db.statements, observed=db.observed, watch=db.watch, runs_apart=db.runs_apart, abilities=db.abilities
            )
        )


def _refuse() -> NoReturn:
    raise StatementRefused("this database was opened to be read only; open it with a saver, or use another command, to change it")
