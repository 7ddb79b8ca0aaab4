"""Copies of threads are whole, and independent of their source."""

from __future__ import annotations

from functools import partial

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.maintenance import copy
from tests.support.build import chain, config, put
from tests.support.rows import rows


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


async def test_a_copy_of_a_thread_that_begins_afterwards_is_none(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await put(saver, config("warm"))
        await saver.acopy_thread("source", "target")
        await put(saver, config("source"), {"x": "value"})
        assert await saver.aget_tuple(config("target")) is None
        assert rows(saver)["ckpt_thread"] == 2
        await saver.acopy_thread("source", "target")
        found = await saver.aget_tuple(config("target"))
        assert found is not None
        assert found.checkpoint["channel_values"] == {"x": "value"}


async def test_one_transaction_copies_rows_of_several_tables_and_no_more_bytes_than_the_bound(
    saver: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in range(3):
        await put(saver, config("t"), {"big": ["x" * 2_000, step]})
    read = saver.store.runner.read
    (ranges, end) = read(partial(copy.next_ranges, source="t", position=copy.Position(0))).result()
    assert ([each.table_no for each in ranges], end) == ([0, 1, 3], None)
    monkeypatch.setattr(copy, "_BYTES_AT_ONCE", 1)
    position: copy.Position | None = copy.Position(0)
    pages = 0
    while position is not None:
        (ranges, position) = read(partial(copy.next_ranges, source="t", position=position)).result()
        pages += len(ranges)
        assert len(ranges) <= 1
    # A row larger than the bound is copied alone.
    assert pages == sum(number for name, number in rows(saver).items() if name in ("ckpt_checkpoint", "ckpt_channel", "ckpt_segment"))
