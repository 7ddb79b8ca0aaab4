"""Futures whose waiters are interrupted at any bytecode."""

from __future__ import annotations

from ckptstore.runtime.future import Future
from ckptstore.runtime.worker_threads import run_in_thread
from tests.support.interrupts import Interrupter

WAIT_SECONDS = 20


def test_waiters_of_one_future_do_not_lose_it_when_another_one_is_interrupted() -> None:
    interrupter, number = Interrupter(), 1
    interrupted = True
    while interrupted:
        future: Future[int] = Future()
        notes: list[int] = []
        future.add_done_callback(lambda done, notes=notes: notes.append(done.result()))  # type: ignore[misc]
        setting = run_in_thread(lambda future=future: future.set_result(1), "set")  # type: ignore[misc]
        interrupted = interrupter.interrupts(lambda future=future: future.result(), number)  # type: ignore[misc]
        setting.result(WAIT_SECONDS)
        assert notes == [1]
        number += 1
    assert number > 5
