"""A database with a folder of blobs, and hooks around each step that changes them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from ckptstore import SQLAlchemySaver
from tests.support.build import config, put
from tests.support.clocks import Clock

CONTENT = os.urandom(70_000)


NO_GRACE = timedelta(0)


class Killed(BaseException):
    """Stands for the death of the process: none of its code runs afterwards."""


class SharedStore:
    """A database and a folder of blobs, used by several savers as if by several processes: each has its own caches and queue."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.clock = Clock()

    @asynccontextmanager
    async def saver(self) -> AsyncIterator[SQLAlchemySaver]:
        async with SQLAlchemySaver.from_conn_string(self.url, blob_url=self.folder, clock=self.clock) as saver:
            yield saver

    def objects(self) -> list[str]:
        """The keys of the objects in the folder."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.glob("*/*") if path.is_file())


class Steps:
    """Counts and intercepts the steps of one saver's objects: each write to the database and each change of the backend."""

    def __init__(self) -> None:
        self.count = 0
        #: Functions to call before or after a step, by its number.
        self.before: dict[int, Callable[[], Awaitable[None]]] = {}
        self.after: dict[int, Callable[[], Awaitable[None]]] = {}

    async def around(self, call: Callable[[], Awaitable[Any]]) -> Any:
        self.count += 1
        number = self.count
        if number in self.before:
            await self.before.pop(number)()
        result = await call()
        if number in self.after:
            await self.after.pop(number)()
        return result


@contextmanager
def stepped(saver: SQLAlchemySaver) -> Iterator[Steps]:
    """Route every step of a saver's uploads and collections through `Steps`: registrations, uploads, changes of state, deletions."""
    objects, steps = saver.store.objects, Steps()
    backend = objects.backend
    originals = {(objects, "write"): objects.write, (backend, "put"): backend.put, (backend, "delete"): backend.delete}
    for (owner, name), original in originals.items():
        setattr(owner, name, lambda *args, original=original: steps.around(lambda: original(*args)))
    try:
        yield steps
    finally:
        for (owner, name), original in originals.items():
            setattr(owner, name, original)


async def store(saver: SQLAlchemySaver, thread_id: str) -> None:
    await put(saver, config(thread_id), {"file": CONTENT, "note": thread_id})


async def check(shared: SharedStore, threads: set[str], *, then_empty: bool = False) -> None:
    """A new saver reads each thread as it was stored, and everything else is deleted after three passes of the collector.

    With `then_empty`, the threads are deleted after that, and three more passes leave no object.
    """
    async with shared.saver() as saver:
        report = await saver.averify(deep=True)
        assert report.ok, report
        for thread_id in threads:
            found = await saver.aget_tuple(config(thread_id))
            assert found is not None, thread_id
            assert found.checkpoint["channel_values"] == {"file": CONTENT, "note": thread_id}
        for _ in range(3):
            await saver.acollect(grace=NO_GRACE)
        report = await saver.averify(deep=True)
        assert report.ok
        assert report.unregistered_objects == []
        assert report.objects == len(shared.objects()) == min(1, len(threads))
        if then_empty:
            for thread_id in threads:
                await saver.adelete_thread(thread_id)
            for _ in range(3):
                await collect_pass(saver)
            assert shared.objects() == []


async def leave_marked(saver: SQLAlchemySaver) -> None:
    await store(saver, "gone")
    await saver.adelete_thread("gone")
    await saver.acollect(grace=NO_GRACE)


async def collect_pass(saver: SQLAlchemySaver) -> None:
    await saver.acollect(grace=NO_GRACE)


def elsewhere(shared: SharedStore) -> SQLAlchemySaver:
    """A saver on the same database that looks for blobs in another folder."""
    return SQLAlchemySaver.from_conn_string(shared.url, blob_url=shared.folder.with_name("elsewhere"), clock=shared.clock)


async def leave_garbage(shared: SharedStore) -> None:
    """Store a thread with a blob, and a blob that nothing refers to."""
    async with shared.saver() as saver:
        await put(saver, config("t"), {"file": CONTENT})
        await put(saver, config("deleted"), {"file": os.urandom(70_000)})
        await saver.adelete_thread("deleted")
