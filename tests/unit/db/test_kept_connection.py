"""The connection that is kept between batches."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ckptstore.db import kept_connection
from ckptstore.db.kept_connection import KeptConnection


class Connection:
    def __init__(self) -> None:
        self.invalidated = False
        self.closed = asyncio.Event()

    async def close(self) -> None:
        self.closed.set()


def kept() -> Any:
    return KeptConnection()


async def test_it_is_taken_once() -> None:
    keeper, connection = kept(), Connection()
    await keeper.keep_or_close(connection)
    assert keeper.take() is connection
    assert keeper.take() is None
    assert not connection.closed.is_set()


@pytest.mark.parametrize("invalidated", [False, True])
async def test_a_second_one_and_one_that_is_lost_are_closed(invalidated: bool) -> None:
    keeper, connection = kept(), Connection()
    if not invalidated:
        await keeper.keep_or_close(Connection())
    connection.invalidated = invalidated
    await keeper.keep_or_close(connection)
    assert connection.closed.is_set()


async def test_after_many_batches_it_returns_to_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_connection, "_MAX_BATCHES", 3)
    keeper, connection = kept(), Connection()
    for _ in range(2):
        await keeper.keep_or_close(connection)
        assert keeper.take() is connection
    await keeper.keep_or_close(connection)
    assert connection.closed.is_set()
    assert keeper.take() is None


async def test_it_returns_to_the_pool_when_it_was_not_used_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper, first, second = kept(), Connection(), Connection()
    await keeper.keep_or_close(first)
    timer = keeper._timer
    # Used in time, so the timer goes on.
    assert keeper.take() is first
    await keeper.keep_or_close(second)
    assert keeper._timer is timer
    keeper._look()
    assert keeper._timer is not None
    keeper._timer.cancel()
    keeper._until = 0.0
    keeper._look()
    await second.closed.wait()
    assert keeper.take() is None
    keeper._look()
    assert keeper._timer is None
    timer.cancel()
