"""Leases of threads for tests: their rows, and the database's clock moved past their end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, TypeVar

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db.sql.tables import LEASE
from ckptstore.runtime.steps import drive_async
from ckptstore.writes.thread_lease import ThreadLease

T = TypeVar("T")

#: The databases that another process can open.
ON_DATABASES = pytest.mark.parametrize("database", ["sqlite", "asyncpg", "psycopg"])


def queue(saver: SQLAlchemySaver, thread_id: str = "t") -> list[str]:
    """The labels of the requests for a thread; the first one holds it."""
    query = LEASE.select().where(LEASE.c.thread_id == thread_id).order_by(LEASE.c.place)
    rows = saver.store.runner.read(lambda db: db.connection.execute(query).mappings().all()).result()
    return [row["label"] for row in rows]


def pass_time(saver: SQLAlchemySaver, seconds: float, label: str | None = None) -> None:
    """What the requests of one label, or all, look like to a database whose clock has gone on by so many seconds."""
    which = "" if label is None else f" WHERE label = '{label}'"
    text = f"UPDATE ckpt_lease SET expires_at = expires_at - {round(seconds * 1_000_000)}{which}"
    saver.store.runner.write(lambda db: db.execute(text)).result()


async def until_queued(saver: SQLAlchemySaver, labels: list[str], thread_id: str = "t") -> None:
    """Return when these are the requests for a thread."""
    while await asyncio.to_thread(queue, saver, thread_id) != labels:  # noqa: ASYNC110  # another process's, in earnest
        await asyncio.sleep(0.002)


def elsewhere(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task that holds nothing of what the caller holds."""
    return asyncio.create_task(coroutine, context=Context())


async def taken(saver: SQLAlchemySaver, label: str = "", thread_id: str = "t", ttl: float = 30) -> ThreadLease:
    """A lease that no context has, and that nobody releases."""
    return await drive_async(saver.store.leases.acquire(thread_id, wait_seconds=0, ttl=ttl, label=label))
