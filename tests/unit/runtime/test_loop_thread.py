"""A loop whose callers are interrupted at any bytecode, also at their first use."""

from __future__ import annotations

import asyncio

import pytest

from ckptstore.errors import StoreClosed
from ckptstore.runtime.future import Future
from ckptstore.runtime.loop_thread import LoopThread
from ckptstore.runtime.worker_threads import run_in_thread
from tests.support.interrupts import Interrupter

WAIT_SECONDS = 20

# A coroutine that was interrupted before a loop took it.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")


async def one() -> int:
    await asyncio.sleep(0)
    return 1


async def nothing() -> None:
    pass


def test_a_loop_survives_interrupts_at_its_first_use() -> None:
    interrupter, number = Interrupter(), 1
    interrupted = True
    while interrupted:
        loop = LoopThread("test")
        interrupted = interrupter.interrupts(lambda loop=loop: loop.run(one()).result(), number)  # type: ignore[misc]
        assert loop.run(one()).result(WAIT_SECONDS) == 1
        run_in_thread(lambda loop=loop: loop.close(one(), WAIT_SECONDS), "close").result(WAIT_SECONDS)  # type: ignore[misc]
        number += 1
    assert number > 20


def test_what_runs_on_the_loop_starts_more_of_it_without_waking_it() -> None:
    loop = LoopThread("test")
    order: list[str] = []

    async def first() -> tuple[Future[int], Future[int]]:
        loop.call_soon(lambda: order.append("called"))
        found = loop.run(one(), lambda _: order.append("done")), loop.run(one())
        order.append("started")
        return found

    assert [each.result(WAIT_SECONDS) for each in loop.run(first()).result(WAIT_SECONDS)] == [1, 1]
    assert order == ["started", "called", "done"]
    assert not loop._inbox
    loop.close(nothing(), WAIT_SECONDS)
    with pytest.raises(StoreClosed):
        loop.run(one())


def test_a_coroutine_that_is_cancelled_before_it_began_fails() -> None:
    loop = LoopThread("test")
    found: list[Future[int]] = []

    def start_and_cancel() -> None:
        found.append(loop.run(one()))
        loop._cancel_tasks()

    assert loop.run(one()).result(WAIT_SECONDS) == 1
    loop.call_soon(start_and_cancel)
    assert loop.run(one()).result(WAIT_SECONDS) == 1
    with pytest.raises(StoreClosed, match="before this operation ended"):
        found[0].result(WAIT_SECONDS)
    loop.close(nothing(), WAIT_SECONDS)
