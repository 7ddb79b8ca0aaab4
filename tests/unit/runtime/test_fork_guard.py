"""A fork waits for what runs, and what begins waits for the fork."""

from __future__ import annotations

import gc
import threading

import pytest

from ckptstore.runtime.fork_guard import ForkGuard, Forking


def in_thread(run: object) -> threading.Thread:
    thread = threading.Thread(target=run)  # type: ignore[arg-type]
    thread.start()
    return thread


@pytest.mark.parametrize("kind", ["run", "run_on_caller"])
def test_a_fork_waits_until_what_runs_has_ended(kind: str) -> None:
    guard, begun, go_on = ForkGuard(), threading.Event(), threading.Event()
    order: list[str] = []

    def work() -> None:
        begun.set()
        assert go_on.wait(30)
        order.append("work")

    def fork() -> None:
        guard.begin_fork()
        order.append("fork")

    working = in_thread(lambda: getattr(guard, kind)(work))
    assert begun.wait(30)
    forking = in_thread(fork)
    go_on.set()
    forking.join(30)
    working.join(30)
    assert order == ["work", "fork"]


def test_work_that_comes_during_a_fork_waits_and_a_caller_is_refused() -> None:
    guard, ran = ForkGuard(), threading.Event()
    guard.begin_fork()
    with pytest.raises(Forking):
        guard.run_on_caller(ran.set)
    working = in_thread(lambda: guard.run(ran.set))
    assert not ran.is_set()
    guard.end_fork()
    working.join(30)
    assert ran.is_set()
    assert guard.run_on_caller(lambda: "again") == "again"


class Keeping(dict[int, object]):
    """Claims that nobody gives up: their caller was interrupted a second time, before it could."""

    def pop(self, *_args: object) -> object:
        return None


def test_a_claim_ends_with_its_interrupted_caller() -> None:
    guard = ForkGuard()
    guard._claims = claims = Keeping()  # type: ignore[assignment]

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guard.run_on_caller(interrupt)
    gc.collect()
    assert len(claims) == 1
    guard.begin_fork()
    guard.end_fork()
    assert not claims
