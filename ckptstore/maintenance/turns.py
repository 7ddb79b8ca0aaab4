"""Taking turns: maintenance runs small transactions, and gives the others the database between them.

Beside writers of this store, for as long as each took; and on a SQLite file, which others may wait for unseen, see `LockTurns`.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol, TypeVar

from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.db.runner import Work
from ckptstore.db.turns import LockTurns
from ckptstore.runtime.steps import Steps, done_after

T = TypeVar("T")

_IDLE_AFTER_SECONDS = 0.5


class MaintainedThreads(Protocol):
    """How maintenance of threads runs its work on the database."""

    @property
    def idle_seconds(self) -> float: ...
    @property
    def turns(self) -> LockTurns: ...
    def read(self, work: Work[T]) -> Steps[T]: ...
    def run_in_queue(self, work: Work[T], *threads: str) -> Steps[T]: ...
    def run_concurrently(self, work: Work[T], *threads: str) -> Steps[T]: ...


def others_write(store: MaintainedThreads) -> bool:
    """Whether somebody else wrote a moment ago."""
    return store.idle_seconds < _IDLE_AFTER_SECONDS


def take_turn(store: MaintainedThreads, work: Work[T], *threads: str) -> Steps[T]:
    """Run work that writes to these threads, and then let others write."""
    return (yield from in_turn(store, store.run_concurrently(work, *threads)))


def in_turn(store: MaintainedThreads, transaction: Steps[T]) -> Steps[T]:
    """Run a transaction, and then let others write."""
    started = time.perf_counter()
    result = yield from transaction
    seconds = time.perf_counter() - started
    pause = max(store.turns.pause_after(seconds), seconds if others_write(store) else 0.0)
    if pause:
        yield done_after(pause)
    return result


async def write_in_turn(objects: ObjectRegistry, work: Work[T]) -> T:
    """Run work that writes to the database, on the loop of the objects, and then let others write."""
    started = time.perf_counter()
    result = await objects.write(work)
    await asyncio.sleep(objects.turns.pause_after(time.perf_counter() - started))
    return result
