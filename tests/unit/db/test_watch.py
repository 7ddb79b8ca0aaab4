"""The deadline of an attempt counts silence, not time: a connection that carries something is left alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import count
from typing import Any
from unittest import mock

import pytest

from ckptstore.db import watch as watch_module
from ckptstore.db.watch import Watch


class Connection:
    """Stands for a driver's connection."""


@pytest.fixture
def ended() -> Iterator[list[Any]]:
    """The connections that were ended."""
    connections: list[Any] = []

    async def end_connection(driver_connection: Any) -> None:
        connections.append(driver_connection)

    with mock.patch.object(watch_module, "end_connection", end_connection):
        yield connections


async def until(ended: list[Any], count: int) -> None:
    while len(ended) < count:  # noqa: ASYNC110
        await asyncio.sleep(0)


async def test_a_silent_connection_is_ended(ended: list[Any]) -> None:
    watch, connection = Watch(0.01, None), Connection()
    watch.begin(connection)
    await until(ended, 1)
    assert (ended, watch.expired, watch.bound) == ([connection], True, 0.01)


@pytest.mark.parametrize("moves", ["bytes", "answers"])
async def test_one_that_carries_something_is_not(ended: list[Any], moves: str) -> None:
    watch, looks, silent_looks = Watch(0.01, None), count(), 0

    def look_at(_connection: Any) -> int:
        nonlocal silent_looks
        if (number := next(looks)) > 40:
            silent_looks += 1
            return 40
        if moves == "answers":
            watch.answers += 1
            return 0
        return number

    with mock.patch.object(watch_module, "bytes_moved", look_at):
        watch.begin(Connection())
        await until(ended, 1)
    assert silent_looks >= 5


async def test_a_phase_that_is_over_ends_nothing(ended: list[Any]) -> None:
    watch, other = Watch(0.01, None), Watch(0.02, None)
    watch.begin(Connection())
    watch.end()
    other.begin(Connection())
    await until(ended, 1)
    assert not watch.expired


async def test_a_task_that_is_connecting_is_cancelled() -> None:
    watch = Watch(0.01, None)
    watch.begin(None)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
    assert watch.expired


async def test_a_phase_can_have_a_shorter_bound_and_never_a_longer_one() -> None:
    watch = Watch(5.0, None)
    for given, bound in ((2.0, 2.0), (9.0, 5.0), (None, 5.0)):
        watch.begin(Connection(), given)
        assert watch.bound == bound
    watch.end()


@pytest.mark.parametrize(("left", "bound"), [(-1e6, 1.0), (2.5e-9, 1.0), (1e9, 3600.0)])
async def test_a_phase_ends_with_the_deadline_but_has_a_second(left: float, bound: float) -> None:
    watch = Watch(3600.0, 7200.0, lambda: time.monotonic() + left)
    watch.begin(Connection())
    assert watch.bound == bound
    watch.expect_long(unbounded=False)
    assert watch.bound == 7200.0
    watch.end()


async def test_waiting_ends_with_the_deadline_unless_a_phase_begins() -> None:
    watch = Watch(3600.0, None, lambda: time.monotonic() - 1e6)
    waiting = watch.waiting()
    async with waiting:
        assert waiting.when() is not None
        watch.begin(None)
        assert waiting.when() is None
    watch.end()
    assert Watch(3600.0, None).waiting().when() is None
