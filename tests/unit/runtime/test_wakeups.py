"""Waiters on an event loop are woken by futures of other threads, each loop once for many."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from ckptstore.runtime.future import Future
from ckptstore.runtime.wakeups import coalesced_wakeups, settled


async def waiting_for(*futures: Future[int]) -> list[asyncio.Task[int]]:
    """Tasks that wait for these futures."""
    tasks = [asyncio.create_task(settled(future)) for future in futures]
    await asyncio.sleep(0)
    return tasks


async def test_a_result_and_an_error_reach_their_waiters() -> None:
    done: Future[int] = Future()
    failed: Future[int] = Future()
    tasks = await waiting_for(done, failed)
    await asyncio.to_thread(done.set_result, 1)
    await asyncio.to_thread(failed.set_exception, ValueError("no"))
    assert await tasks[0] == 1
    with pytest.raises(ValueError, match="no"):
        await tasks[1]


async def test_a_cancelled_waiter_does_not_cancel_the_future() -> None:
    future: Future[int] = Future()
    (task,) = await waiting_for(future)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    future.set_result(1)
    assert await settled(future) == 1


async def test_a_loop_is_woken_once_at_the_end_of_the_outermost_context(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    wakes: list[int] = []
    wake = loop.call_soon_threadsafe

    def counting(*args: Any) -> Any:
        wakes.append(1)
        return wake(*args)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counting)
    futures: list[Future[int]] = [Future() for _ in range(5)]
    tasks = await waiting_for(*futures)
    with coalesced_wakeups():
        with coalesced_wakeups():
            for number, future in enumerate(futures):
                future.set_result(number)
        assert wakes == []
    assert wakes == [1]
    assert await asyncio.gather(*tasks) == [0, 1, 2, 3, 4]


def test_a_loop_that_was_closed_is_no_error_of_the_writer(caplog: pytest.LogCaptureFixture) -> None:
    future: Future[int] = Future()
    loop = asyncio.new_event_loop()
    task = loop.create_task(settled(future))
    loop.run_until_complete(asyncio.wait([task], timeout=0))
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()
    with caplog.at_level(logging.DEBUG, "ckptstore"):
        future.set_result(1)
    assert [vars(record)["event"] for record in caplog.records if "event" in vars(record)] == ["event_loop_closed"]
