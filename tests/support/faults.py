"""Observe the statements that a saver sends, and make them fail."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

from sqlalchemy import Engine
from sqlalchemy.pool.base import _ConnectionFairy

from ckptstore import SQLAlchemySaver
from ckptstore.db.async_runner import AsyncRunner
from ckptstore.db.statement_work import Call


def engine_of(saver: SQLAlchemySaver) -> Engine:
    engine = saver.store.runner._engine  # type: ignore[attr-defined]
    found: Engine = getattr(engine, "sync_engine", engine)
    return found


class FaultyCursor:
    """A driver's cursor that reports every statement to a test, before and after it ran."""

    def __init__(self, cursor: Any, report: Callable[[str, str], None]) -> None:
        self._cursor = cursor
        self._report = report

    def execute(self, statement: str, values: Any) -> None:
        self._report("before", statement)
        self._cursor.execute(statement, values)
        self._report("after", statement)

    def executemany(self, statement: str, rows: Any) -> None:
        self._report("before", statement)
        self._cursor.executemany(statement, rows)
        self._report("after", statement)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


@contextmanager
def reported_statements(saver: SQLAlchemySaver, report: Callable[[str, str], None]) -> Iterator[None]:
    """Call a function with `before` or `after`, and the text, for each statement of a saver."""
    cursor_of = _ConnectionFairy.cursor
    mine = engine_of(saver)

    def cursor(connection: _ConnectionFairy, *args: Any, **options: Any) -> Any:
        plain = cursor_of(connection, *args, **options)
        return FaultyCursor(plain, report) if connection._pool is mine.pool else plain

    with mock.patch.object(_ConnectionFairy, "cursor", cursor), reported_calls(saver.store.runner, report):
        yield


@contextmanager
def reported_calls(runner: Any, report: Callable[[str, str], None]) -> Iterator[None]:
    """Report also what a runner executes at the driver itself."""
    if not isinstance(runner, AsyncRunner):
        yield
        return
    fetch = runner._fetch

    async def reported(driver_connection: Any, call: Call) -> Sequence[Any]:
        report("before", call.text)
        rows = await fetch(driver_connection, call)
        report("after", call.text)
        return rows

    with mock.patch.object(runner, "_fetch", reported):
        yield


#: Texts in the statements that store a batch, on any database.
INSERTS_BATCH = ("INSERT INTO ckpt_", "ckpt_commit_batch", "ckpt_commit_on_node")


@contextmanager
def fault(
    saver: SQLAlchemySaver, when: str, statement_has: str | Sequence[str], exc: Exception | None, times: int = 1
) -> Iterator[list[str]]:
    """Raise an exception before or after statements that contain a text, or one of several; yields the statements hit."""
    hits: list[str] = []
    texts = (statement_has,) if isinstance(statement_has, str) else statement_has

    def raise_sometimes(phase: str, statement: str) -> None:
        if phase == when and any(text in statement for text in texts) and len(hits) < times:
            hits.append(statement)
            if exc is not None:
                raise exc

    with reported_statements(saver, raise_sometimes):
        yield hits


def transient_fault(saver: SQLAlchemySaver) -> Exception:
    """What a driver raises when the connection to the server breaks, or another process holds SQLite's lock."""
    if engine_of(saver).dialect.name == "sqlite":
        return sqlite3.OperationalError("database is locked")
    return OSError("server closed the connection unexpectedly")


async def queued(saver: SQLAlchemySaver, tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Let the loop run until the tasks' writes are in the queue, or one of the tasks is done."""
    while saver.store._queue.depth < len(tasks) and not any(task.done() for task in tasks):  # noqa: ASYNC110
        await asyncio.sleep(0)
