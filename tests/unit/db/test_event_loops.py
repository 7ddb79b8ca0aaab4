"""A loop that can watch sockets is kept, another is replaced."""

from __future__ import annotations

import asyncio

import pytest

from ckptstore.runtime.loop_thread import selector_loop
from tests.support.event_loops import WithoutSockets


def test_a_loop_that_can_watch_sockets_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    class Faster(asyncio.SelectorEventLoop):
        pass

    monkeypatch.setattr(asyncio, "new_event_loop", Faster)
    loop = selector_loop()
    assert type(loop) is Faster
    loop.close()


def test_a_loop_that_can_not_watch_sockets_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def proactor_like() -> asyncio.AbstractEventLoop:
        made.append(WithoutSockets())
        return made[-1]

    monkeypatch.setattr(asyncio, "new_event_loop", proactor_like)
    loop = selector_loop()
    assert type(loop) is asyncio.SelectorEventLoop
    assert made[0].is_closed()
    loop.close()
