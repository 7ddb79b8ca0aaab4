"""What a caller's thread passes on reaches worker threads and event loops, and nothing else does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextvars import Context, ContextVar

import pytest

from ckptstore.runtime import carried
from ckptstore.runtime.loop_thread import LoopThread
from ckptstore.runtime.worker_threads import WorkerThreads

passed_on: ContextVar[str | None] = ContextVar("passed_on", default=None)
other: ContextVar[str | None] = ContextVar("other", default=None)


def capture() -> Context | None:
    value = passed_on.get()
    if value is None:
        return None
    made = Context()
    made.run(passed_on.set, value)
    return made


@pytest.fixture
def capturing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(carried, "capture", capture)
    passed_on.set("here")
    other.set("mine")
    yield
    passed_on.set(None)
    other.set(None)


def seen() -> tuple[str | None, str | None]:
    return passed_on.get(), other.get()


async def seen_later() -> tuple[str | None, str | None]:
    await asyncio.sleep(0)
    return seen()


def test_worker_threads_get_what_is_passed_on(capturing: None) -> None:
    workers = WorkerThreads("test", 1)
    assert workers.submit(seen).result(10) == ("here", None)
    passed_on.set(None)
    assert workers.submit(seen).result(10) == (None, None)
    workers.close(10)


def test_loops_get_what_is_passed_on(capturing: None) -> None:
    loop = LoopThread("test")
    assert loop.run(seen_later()).result(10) == ("here", None)
    passed_on.set("there")
    assert loop.run(seen_later()).result(10) == ("there", None)
    loop.close(asyncio.sleep(0), 10)


def test_a_function_that_is_passed_on(capturing: None) -> None:
    function = carried.carrying(seen)
    passed_on.set("changed")
    assert function() == ("here", None)


def test_nothing_is_passed_on_while_nobody_needs_it() -> None:
    assert carried.capture is None or carried.capture() is None
    assert carried.carrying(seen) is seen
