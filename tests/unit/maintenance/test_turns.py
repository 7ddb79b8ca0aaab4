"""Taking turns: others get the database after a transaction, if they write or may wait for a file's lock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import make_url

from ckptstore.db.turns import LockTurns
from ckptstore.maintenance import turns
from ckptstore.runtime.future import Future
from ckptstore.runtime.steps import Steps, drive


class Store:
    """Runs work at once, without a database."""

    def __init__(self, idle_seconds: float, url: str) -> None:
        self.idle_seconds = idle_seconds
        self.turns = LockTurns(make_url(url))
        self.threads: tuple[str, ...] = ()

    def run_concurrently(self, work: Callable[[Any], Any], *threads: str) -> Steps[Any]:
        self.threads = threads
        yield from ()
        return work(None)

    read = run_in_queue = run_concurrently


@pytest.mark.parametrize(
    ("idle_seconds", "url", "expected"),
    [
        (0.0, "postgresql+asyncpg://host/db", [0.25]),
        (60.0, "postgresql+asyncpg://host/db", []),
        (0.0, "sqlite:////tmp/c.sqlite", [0.25]),
        # Another process may wait for the file's lock.
        (60.0, "sqlite:////tmp/c.sqlite", [0.125]),
    ],
)
def test_beside_others_a_turn_is_followed_by_a_pause(
    monkeypatch: pytest.MonkeyPatch, idle_seconds: float, url: str, expected: list[float]
) -> None:
    pauses: list[float] = []

    def done_after(seconds: float) -> Future[None]:
        pauses.append(seconds)
        done = Future[None]()
        done.set_result(None)
        return done

    clock = iter([10.0, 10.25])
    monkeypatch.setattr(turns, "done_after", done_after)
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    store = Store(idle_seconds, url)
    assert drive(turns.take_turn(store, lambda _db: "result", "a", "b")) == "result"
    assert store.threads == ("a", "b")
    assert pauses == expected
