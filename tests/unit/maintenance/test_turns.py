"""Taking turns: others get the database for as long as a transaction took, if they write."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from ckptstore.maintenance import turns
from ckptstore.runtime.future import Future
from ckptstore.runtime.steps import Steps, drive


class Store:
    """Runs work at once, without a database."""

    def __init__(self, idle_seconds: float) -> None:
        self.idle_seconds = idle_seconds
        self.threads: tuple[str, ...] = ()

    def run_concurrently(self, work: Callable[[Any], Any], *threads: str) -> Steps[Any]:
        self.threads = threads
        yield from ()
        return work(None)

    read = run_in_queue = run_concurrently


@pytest.mark.parametrize(("idle_seconds", "paused"), [(0.0, True), (60.0, False)])
def test_only_beside_others_a_turn_is_followed_by_a_pause(monkeypatch: pytest.MonkeyPatch, idle_seconds: float, paused: bool) -> None:
    pauses: list[float] = []

    def done_after(seconds: float) -> Future[None]:
        pauses.append(seconds)
        done = Future[None]()
        done.set_result(None)
        return done

    clock = iter([10.0, 10.25])
    monkeypatch.setattr(turns, "done_after", done_after)
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    store = Store(idle_seconds)
    assert drive(turns.take_turn(store, lambda _db: "result", "a", "b")) == "result"
    assert store.threads == ("a", "b")
    assert pauses == ([0.25] if paused else [])
