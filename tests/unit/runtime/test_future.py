"""Futures whose waiters are interrupted at any bytecode."""

from __future__ import annotations

import traceback

import pytest

from ckptstore.errors import DatabaseUnavailable
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


def test_the_traceback_of_each_caller_has_only_its_own_frames() -> None:
    error = DatabaseUnavailable("away")
    futures: list[Future[None]] = [Future() for _ in range(3)]
    frames = []
    for future in (*futures, futures[0]):
        if not future.done():
            future.set_exception(error)
        with pytest.raises(DatabaseUnavailable, match="away") as caught:
            future.result()
        frames.append(len(traceback.extract_tb(caught.value.__traceback__)))
    assert len(set(frames)) == 1
