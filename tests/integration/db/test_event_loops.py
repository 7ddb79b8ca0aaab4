"""Event loops that can't watch sockets, as the default one of Windows: nothing of ours needs a caller's loop to do so."""

from __future__ import annotations

import asyncio

import pytest

from ckptstore import SQLAlchemySaver
from tests.support.build import chain
from tests.support.event_loops import WithoutSockets


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
