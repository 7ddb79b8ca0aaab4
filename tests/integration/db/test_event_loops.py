"""Event loops that can't watch sockets, as the default one of Windows: nothing of ours needs a caller's loop to do so."""

from __future__ import annotations

import asyncio

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.runtime.loop_thread import selector_loop
from tests.support.build import chain


class WithoutSockets(asyncio.SelectorEventLoop):
    """Refuses what a ProactorEventLoop refuses; its own transports work as before."""

    add_reader = asyncio.AbstractEventLoop.add_reader
    remove_reader = asyncio.AbstractEventLoop.remove_reader
    add_writer = asyncio.AbstractEventLoop.add_writer
    remove_writer = asyncio.AbstractEventLoop.remove_writer


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


def test_a_saver_works_where_the_default_loop_can_not_watch_sockets(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "new_event_loop", WithoutSockets)

    async def use() -> int:
        with pytest.raises(NotImplementedError):
            asyncio.get_running_loop().add_reader(0, print)
        async with SQLAlchemySaver.from_conn_string(url) as saver:
            await chain(saver, "t", 3)
            return len(await saver.alist(None))

    with asyncio.Runner(loop_factory=WithoutSockets) as runner:
        assert runner.run(use()) == 3
