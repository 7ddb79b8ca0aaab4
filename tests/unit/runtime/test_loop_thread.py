"""A loop whose callers are interrupted at any bytecode, also at their first use."""

from __future__ import annotations

import asyncio

import pytest

from ckptstore.runtime.loop_thread import LoopThread
from ckptstore.runtime.worker_threads import run_in_thread
from tests.support.interrupts import Interrupter

WAIT_SECONDS = 20

# A coroutine that was interrupted before a loop took it.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")


async def one() -> int:
    await asyncio.sleep(0)
    return 1


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
