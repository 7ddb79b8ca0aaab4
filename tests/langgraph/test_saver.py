"""The contract of LangGraph's savers, line by line, where other savers got it wrong."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from langgraph.checkpoint.base import WRITES_IDX_MAP
from langgraph.checkpoint.serde.types import ERROR, INTERRUPT, TASKS, _DeltaSnapshot

from ckptstore import SQLAlchemySaver
from tests.support.build import chain, checkpoint, config, metadata, put


def test_sibling_forks_get_different_versions() -> None:
    saver = SQLAlchemySaver.from_conn_string(":memory:")
    first = saver.get_next_version(None, None)
    siblings = {saver.get_next_version(first, None) for _ in range(100)}
    assert len(siblings) == 100
    assert all(first < sibling for sibling in siblings)
    saver.close()


def test_versions_sort_as_text_and_keep_the_width_of_another_savers() -> None:
    with SQLAlchemySaver.from_conn_string(":memory:") as saver:
        version, seen = None, []
        for _ in range(1_200):
            version = saver.get_next_version(version, None)
            seen.append(version)
        assert seen == sorted(seen)
        moved = f"{9:032}.0.1234567890123456"
        assert saver.get_next_version(moved, None).startswith(f"{10:032}.")
        assert saver.get_next_version(7, None).startswith(f"{8:08}.")


async def test_writes_of_a_task_come_once_and_special_ones_are_replaced(saver: SQLAlchemySaver) -> None:
    where = await put(saver, config("t"))
    await saver.aput_writes(where, [("a", 1), ("b", 2)], "task", "path")
    await saver.aput_writes(where, [("a", 10), ("b", 20)], "task", "path")
    await saver.aput_writes(where, [(ERROR, "first")], "task", "path")
    await saver.aput_writes(where, [(ERROR, "second")], "task", "path")
    await saver.aput_writes(where, [(INTERRUPT, "kept"), ("c", 3)], "other", "path")
    await saver.aput_writes(where, [(INTERRUPT, "ignored"), ("c", 30)], "other", "path")
    found = await saver.aget_tuple(where)
    assert found is not None
    assert sorted(found.pending_writes or []) == sorted(
        [("task", "a", 1), ("task", "b", 2), ("task", ERROR, "second"), ("other", INTERRUPT, "kept"), ("other", "c", 3)]
    )


async def test_one_batch_with_every_kind_of_repeat_is_one_row_a_key(saver: SQLAlchemySaver) -> None:
    where = await put(saver, config("t"))
    twice = [("a", 1), (ERROR, "x"), (ERROR, "y")]
    await asyncio.gather(*[saver.aput_writes(where, twice, "task") for _ in range(20)])
    await asyncio.gather(*[saver.aput_writes(where, [(ERROR, n)], "task") for n in range(20)])
    found = await saver.aget_tuple(where)
    assert found is not None
    assert sorted(found.pending_writes or [], key=str) == [("task", ERROR, 19), ("task", "a", 1)]


async def test_pending_writes_come_in_the_order_of_path_task_and_index(saver: SQLAlchemySaver) -> None:
    where = await put(saver, config("t"))
    await saver.aput_writes(where, [("x", 1), ("x", 2)], "zz", "a")
    await saver.aput_writes(where, [("x", 3)], "aa", "b")
    await saver.aput_writes(where, [("x", 4)], "mm", "")
    await saver.aput_writes(where, [("x", 5)], "nn", "a")
    found = await saver.aget_tuple(where)
    assert found is not None
    assert [write[2] for write in found.pending_writes or []] == [4, 5, 1, 2, 3]


async def test_a_checkpoint_put_again_replaces_the_earlier_one_and_its_tags(saver: SQLAlchemySaver) -> None:
    first = checkpoint({"a": 1, "b": 1})
    where = await saver.aput(config("t"), first, metadata(1, mood="calm"), first["channel_versions"])
    again = checkpoint({"a": 2}, {"a": "0000000002.x"}, id=first["id"])
    await saver.aput(config("t"), again, metadata(2, mood="wild"), {"a": "0000000002.x"})
    found = await saver.aget_tuple(where)
    assert found is not None
    assert found.checkpoint["channel_values"] == {"a": 2}
    assert [c.metadata["step"] for c in await saver.alist(None, filter={"mood": "wild"})] == [2]
    assert await saver.alist(None, filter={"mood": "calm"}) == []
    assert await saver.alist(None, filter={"step": 1}) == []


async def test_an_unset_channel_is_absent_and_none_is_none(saver: SQLAlchemySaver) -> None:
    made = checkpoint({"none": None, "empty": ""}, {"none": "1", "empty": "1", "unset": "1"})
    where = await saver.aput(config("t"), made, metadata(), made["channel_versions"])
    found = await saver.aget_tuple(where)
    assert found is not None
    assert found.checkpoint["channel_values"] == {"none": None, "empty": ""}
    assert found.checkpoint["channel_versions"] == {"none": "1", "empty": "1", "unset": "1"}


async def test_a_delta_snapshot_comes_back_as_itself(saver: SQLAlchemySaver) -> None:
    where = await put(saver, config("t"), {"messages": _DeltaSnapshot(["a", "b"])})
    found = await saver.aget_tuple(where)
    assert found is not None
    value = found.checkpoint["channel_values"]["messages"]
    assert isinstance(value, _DeltaSnapshot)
    assert value == _DeltaSnapshot(["a", "b"])


async def test_a_channel_without_a_version_comes_back(saver: SQLAlchemySaver) -> None:
    made = checkpoint({"loose": {"x": [1]}, "bound": 1}, {"bound": "1"})
    where = await saver.aput(config("t"), made, metadata(), {"bound": "1"})
    found = await saver.aget_tuple(where)
    assert found is not None
    assert found.checkpoint["channel_values"] == {"loose": {"x": [1]}, "bound": 1}


async def test_a_channel_declared_unchanged_but_never_stored_comes_back(saver: SQLAlchemySaver) -> None:
    made = checkpoint({"a": [1], "b": 2})
    where = await saver.aput(config("t"), made, metadata(), {"b": made["channel_versions"]["b"]})
    found = await saver.aget_tuple(where)
    assert found is not None
    assert found.checkpoint["channel_values"] == {"a": [1], "b": 2}


@pytest.mark.parametrize("version", [1, 2.5, "1", 1e20])
async def test_versions_keep_their_type(saver: SQLAlchemySaver, version: Any) -> None:
    made = checkpoint({"a": "x"}, {"a": version})
    where = await saver.aput(config("t"), made, metadata(), {"a": version})
    found = await saver.aget_tuple(where)
    assert found is not None
    assert found.checkpoint["channel_values"] == {"a": "x"}
    assert repr(found.checkpoint["channel_versions"]) == repr({"a": version})


async def test_old_formats_get_their_sends_from_the_parent(saver: SQLAlchemySaver) -> None:
    parents = [await put(saver, config("t", checkpoint_ns=namespace)) for namespace in ("", "sub")]
    for parent, word in zip(parents, ("root", "sub"), strict=True):
        await saver.aput_writes(parent, [(TASKS, f"{word} 2")], "b", "p2")
        await saver.aput_writes(parent, [(TASKS, f"{word} 1"), ("else", 0)], "a", "p1")
        made = checkpoint({"x": 1}, {"x": "7"}, v=2)
        await saver.aput(parent, made, metadata(1), {"x": "7"})
        newest = await saver.aget_tuple(config("t", checkpoint_ns="" if word == "root" else "sub"))
        assert newest is not None
        assert newest.checkpoint["channel_values"] == {"x": 1, TASKS: [f"{word} 1", f"{word} 2"]}
        assert newest.checkpoint["channel_versions"][TASKS] == "7"
    listed = [c async for c in saver.alist({"configurable": {"thread_id": "t"}}) if c.checkpoint["v"] == 2]
    assert {tuple(c.checkpoint["channel_values"][TASKS]) for c in listed} == {("root 1", "root 2"), ("sub 1", "sub 2")}


@pytest.mark.parametrize("thread_id", [7, "7", UUID(int=7)])
async def test_thread_ids_are_text(saver: SQLAlchemySaver, thread_id: Any) -> None:
    where = await put(saver, config(thread_id))
    assert where["configurable"]["thread_id"] == str(thread_id)
    assert await saver.aget_tuple(config(str(thread_id))) is not None


async def test_nul_and_lone_surrogates_in_values_and_metadata(saver: SQLAlchemySaver) -> None:
    value = {"text": "a\0b", "list": ["\0", "x"]}
    where = await put(saver, config("t"), {"state": value}, note="a\0b\ud800c", deep={"k\0": ["\0x"]}, nan=float("nan"))
    found = await saver.aget_tuple(where)
    assert found is not None
    assert found.checkpoint["channel_values"]["state"] == value
    more: dict[str, Any] = dict(found.metadata)
    assert (more["note"], more["deep"], more["nan"]) == ("ab\ufffdc", {"k": ["x"]}, None)
    assert len(await saver.alist(None, filter={"note": "ab\ufffdc", "deep": {"k": ["x"]}})) == 1


async def test_metadata_takes_what_the_config_has_but_no_credentials(saver: SQLAlchemySaver) -> None:
    secrets = {"openai_api_key": "sk-1", "token": "t", "x-api-key": "k", "accessToken": "k", "openaiApiKey": "k", "pwd": "k"}
    where = config("t", user_id="u1", author="a", session_type="s", **secrets)
    where["metadata"] = {"tenant": "acme", "openai_api_key": "sk-1"}
    await put(saver, where)
    found = await saver.aget_tuple(config("t"))
    assert found is not None
    assert {name: found.metadata.get(name) for name in ("user_id", "tenant", "author", "session_type")} == {
        "user_id": "u1", "tenant": "acme", "author": "a", "session_type": "s",
    }  # fmt: skip
    assert not secrets.keys() & found.metadata.keys()


async def test_times_are_the_applications_and_copies_keep_them(url: str) -> None:
    moments = iter([datetime(2001, 1, 1, tzinfo=UTC)] * 3 + [datetime(2001, 1, 31, tzinfo=UTC)] * 10)
    async with SQLAlchemySaver.from_conn_string(url, clock=lambda: next(moments)) as saver:
        await chain(saver, "old", 3)
        await chain(saver, "new", 2)
        await saver.acopy_thread("old", "copy")
        assert (await saver.aprune_older_than(timedelta(days=29))).checkpoints == 6
        assert {c.config["configurable"]["thread_id"] for c in await saver.alist(None)} == {"new"}


async def test_a_clone_with_an_allowlist_shares_the_store(saver: SQLAlchemySaver) -> None:
    await put(saver, config("t"), {"x": 1})
    clone = saver.with_allowlist([("tests.support.build", "Anything")])
    assert isinstance(clone, SQLAlchemySaver)
    assert clone.store is saver.store
    found = await clone.aget_tuple(config("t"))
    assert found is not None
    assert found.checkpoint["channel_values"] == {"x": 1}


def test_special_channels_have_negative_places() -> None:
    assert all(place < 0 for place in WRITES_IDX_MAP.values())


async def test_threads_do_not_see_each_other(saver: SQLAlchemySaver) -> None:
    names = [str(uuid4()) for _ in range(10)]
    await asyncio.gather(*[chain(saver, name, 5) for name in names])
    await saver.adelete_thread(names[0])
    assert await saver.aget_tuple(config(names[0])) is None
    for name in names[1:]:
        assert [c.checkpoint["channel_values"]["n"] for c in await saver.alist(config(name))] == [4, 3, 2, 1, 0]
