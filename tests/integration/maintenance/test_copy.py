"""Copies of threads are whole, and independent of their source."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.maintenance import copy
from tests.support.build import chain, config, put


async def test_a_copy_is_whole_and_independent(saver: SQLAlchemySaver) -> None:
    configs = await chain(saver, "t", 4, kind="x")
    await saver.aput_writes(configs[-1], [("a", 1)], "task")
    await put(saver, config("t", checkpoint_ns="sub"), {"s": [1]})
    await saver.acopy_thread("t", "copy")
    await saver.adelete_thread("t")
    copied = await saver.alist(config("copy"))
    assert [c.checkpoint["channel_values"]["n"] for c in copied] == [3, 2, 1, 0]
    assert copied[0].pending_writes == [("task", "a", 1)]
    assert copied[0].parent_config == copied[1].config
    sub = await saver.aget_tuple(config("copy", checkpoint_ns="sub"))
    assert sub is not None
    assert sub.checkpoint["channel_values"] == {"s": [1]}
    assert len(await saver.alist(None, filter={"kind": "x"})) == 4
    await saver.acopy_thread("nothing", "nowhere")
    assert await saver.alist(config("nowhere")) == []


async def test_a_copy_of_a_thread_that_begins_meanwhile_is_whole_or_nothing(lasting_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await put(saver, config("warm"))
        real = copy.insert_tags  # type: ignore[attr-defined]  # where it is used, to be replaced there

        def put_first(*_: Any) -> Any:
            raise AssertionError("a copy of nothing tags nothing")

        monkeypatch.setattr(copy, "insert_tags", put_first)
        await saver.acopy_thread("source", "target")
        monkeypatch.setattr(copy, "insert_tags", real)
        await put(saver, config("source"), {"x": "value"})
        assert await saver.aget_tuple(config("target")) is None
        await saver.acopy_thread("source", "target")
        found = await saver.aget_tuple(config("target"))
        assert found is not None
        assert found.checkpoint["channel_values"] == {"x": "value"}
