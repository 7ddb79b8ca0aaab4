"""Taking turns: maintenance runs small transactions, and gives the others the database for as long as each took."""

from __future__ import annotations

import time
from typing import Protocol, TypeVar

from ckptstore.db.runner import Work
from ckptstore.runtime.steps import Steps, done_after

T = TypeVar("T")

_IDLE_AFTER_SECONDS = 0.5


class MaintainedThreads(Protocol):
    """How maintenance of threads runs its work on the database."""

    @property
    def idle_seconds(self) -> float: ...
    def read(self, work: Work[T]) -> Steps[T]: ...
    def run_in_queue(self, work: Work[T], *threads: str) -> Steps[T]: ...
    def run_concurrently(self, work: Work[T], *threads: str) -> Steps[T]: ...


def others_write(store: MaintainedThreads) -> bool:
    """Whether somebody else wrote a moment ago."""
    return store.idle_seconds < _IDLE_AFTER_SECONDS


def take_turn(store: MaintainedThreads, work: Work[T], *threads: str) -> Steps[T]:
    """Run work that writes to these threads, and then let others write."""
    started = time.perf_counter()
    result = yield from store.run_concurrently(work, *threads)
    if others_write(store):
        yield done_after(time.perf_counter() - started)
    return result
