"""A database that does not answer: callers get their error in time, those that gave up leave nothing, and closing ends."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ckptstore import DatabaseSettings, SQLAlchemySaver
from ckptstore.errors import DatabaseUnavailable, StoreClosed
from ckptstore.testing import PausingBackend
from ckptstore.writes.entry import State
from tests.support.build import config, put
from tests.support.faults import queued

WAIT_SECONDS = 20


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "checkpoints.sqlite")


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Another connection holds SQLite's write lock."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


async def test_the_error_comes_in_time_for_the_first_write_and_for_those_behind_it(path: str) -> None:
    async with SQLAlchemySaver.from_conn_string(path, settings=DatabaseSettings(retry_seconds=0.5)) as saver:
        where = await put(saver, config("t"))
        with locked(path):
            started = time.monotonic()
            writes = [saver.aput_writes(where, [("x", n)], f"task-{n}") for n in range(5)]
            others = [put(saver, config(f"other-{n}")) for n in range(5)]
            results = await asyncio.gather(*writes, *others, return_exceptions=True)
            seconds = time.monotonic() - started
        assert all(isinstance(result, DatabaseUnavailable) for result in results)
        # The busy timeout alone is 30 s, and each of them would wait for it in turn.
        assert seconds < WAIT_SECONDS
        await put(saver, config("t"))


async def test_callers_that_give_up_leave_nothing_behind(path: str) -> None:
    async with SQLAlchemySaver.from_conn_string(path, settings=DatabaseSettings(max_pending=10, retry_seconds=600)) as saver:
        where = await put(saver, config("t"))
        queue = saver.store._queue
        with locked(path):
            tasks = [asyncio.ensure_future(saver.aput_writes(where, [("x", n)], f"task-{n}")) for n in range(500)]
            while len(queue._pending) < len(tasks):  # noqa: ASYNC110
                await asyncio.sleep(0)
            encoded = [entry for entry in queue._pending.in_order() if entry.state is not State.WAITING]
            # They make room for others.
            under_way = queue.in_flight
            for task in tasks[:-1]:
                task.cancel()
            await asyncio.wait(tasks[:-1])
            # The batch under way, and the one whose caller still waits.
            assert queue.depth <= 1
            assert len(encoded) <= 10 + under_way
            assert under_way <= 10
        await tasks[-1]
        found = await saver.aget_tuple(where)
        assert found is not None
        assert {value for _, _, value in found.pending_writes or ()} >= {499}
        assert len(found.pending_writes or ()) <= len(encoded) + 1


def hold_up(saver: SQLAlchemySaver, until: threading.Event) -> threading.Event:
    """Keep the worker thread or loop that writes from answering; returns what is set once it is held up."""
    reached = threading.Event()

    def work(_db: object) -> None:
        reached.set()
        until.wait(WAIT_SECONDS)

    saver.store.runner.write(work)
    return reached


async def test_closing_ends_although_the_database_never_answers(lasting_url: str) -> None:
    saver = SQLAlchemySaver.from_conn_string(lasting_url, settings=DatabaseSettings(close_seconds=0.1))
    await put(saver, config("t"))
    answers = threading.Event()
    try:
        assert hold_up(saver, answers).wait(WAIT_SECONDS)
        putting = asyncio.ensure_future(put(saver, config("t")))
        await queued(saver, [putting])
        await saver.aclose()
        assert not answers.is_set()
        with pytest.raises(StoreClosed):
            await putting
        with pytest.raises(StoreClosed):
            await put(saver, config("t"))
    finally:
        answers.set()
        loop = getattr(saver.store.runner, "_loop", None)
        # What was left behind ends by itself, and closes its connections.
        assert loop is None or loop._stopped.wait(WAIT_SECONDS)


async def test_closing_ends_although_an_upload_never_ends(lasting_url: str, tmp_path: Path) -> None:
    settings = DatabaseSettings(close_seconds=0.1)
    saver = SQLAlchemySaver.from_conn_string(lasting_url, blob_url=str(tmp_path / "blobs"), settings=settings)
    await put(saver, config("t"))
    backend = PausingBackend(saver.store.objects.backend)
    saver.store.objects._backend = backend
    with backend.pause("put") as pause:
        putting = asyncio.ensure_future(put(saver, config("t"), {"file": b"x" * 200_000}))
        await asyncio.to_thread(pause.reached.wait, WAIT_SECONDS)
        await saver.aclose()
        with pytest.raises(StoreClosed):
            await putting
