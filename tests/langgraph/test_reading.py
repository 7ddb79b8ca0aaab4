"""`get_tuple` and `list` as LangGraph calls them."""

from __future__ import annotations

from typing import Any

from ckptstore import SQLAlchemySaver
from tests.support.build import chain, config, put


async def test_a_missing_namespace_is_the_root_in_get_and_all_of_them_in_list(saver: SQLAlchemySaver) -> None:
    for namespace in ("", "a:1|b:2", "a:1"):
        await put(saver, config("t", checkpoint_ns=namespace))
    found = await saver.aget_tuple({"configurable": {"thread_id": "t"}})
    assert found is not None
    assert found.config["configurable"]["checkpoint_ns"] == ""
    listed = await saver.alist({"configurable": {"thread_id": "t"}})
    assert {c.config["configurable"]["checkpoint_ns"] for c in listed} == {"", "a:1|b:2", "a:1"}
    assert len(await saver.alist(config("t", checkpoint_ns="a:1|b:2"))) == 1


async def test_a_config_without_a_thread_lists_all_of_them(saver: SQLAlchemySaver) -> None:
    for thread_id in ("a", "b", "c"):
        await chain(saver, thread_id, 2)
    anything: Any
    for anything in (None, {}, {"configurable": {}}):
        listed = await saver.alist(anything)
        ids = [c.checkpoint["id"] for c in listed]
        assert ids == sorted(ids, reverse=True)
        assert len(ids) == 6


async def test_a_listing_reads_page_by_page_and_stops_at_its_limit(saver: SQLAlchemySaver) -> None:
    configs = await chain(saver, "t", 250)
    ids = [c["configurable"]["checkpoint_id"] for c in reversed(configs)]
    assert [c.checkpoint["id"] async for c in saver.alist(config("t"))] == ids
    assert [c.checkpoint["id"] for c in saver.list(None, limit=130)] == ids[:130]
    assert [c.checkpoint["id"] for c in await saver.alist(None, before=configs[100])] == ids[150:]
    assert await saver.alist(config("t"), limit=0) == []
    newest = saver.alist(None, limit=3)
    assert (await anext(newest)).checkpoint["id"] == ids[0]
    assert [c.checkpoint["id"] async for c in newest] == ids[1:3]
    again = saver.alist(None, limit=3)
    for _ in range(2):
        assert [c.checkpoint["id"] for c in await again] == ids[:3]
        assert [c.checkpoint["id"] async for c in again] == ids[:3]


async def test_a_paused_listing_holds_nothing(saver: SQLAlchemySaver) -> None:
    await chain(saver, "t", 150)
    listing = aiter(saver.alist(config("t")))
    await anext(listing)
    for step in range(30):
        await put(saver, config("other"), step=step)
    await saver.adelete_thread("other")
    assert len([c async for c in listing]) == 149


async def test_channels_come_back_in_the_order_in_which_they_were_put(saver: SQLAlchemySaver) -> None:
    # Small values are stored with the checkpoint, others in rows of their own.
    cases: list[dict[str, Any]] = [{"a": None, "b": [], "c": 1}, {"a": [], "b": None, "c": [1]}]
    for values in cases:
        where = await put(saver, config("t"), values)
        found = await saver.aget_tuple(where)
        assert found is not None
        assert list(found.checkpoint["channel_values"].items()) == list(values.items())
