"""Size limits: what is too large is refused whole, in words that help, wherever it comes from; what is within them passes."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig

from ckptstore import SizeLimits, SQLAlchemySaver
from ckptstore.errors import CheckpointTooLarge
from ckptstore.langgraph.serialise import serialise
from ckptstore.values.size_limits import MIB
from tests.support.build import checkpoint, config, metadata, put
from tests.support.databases import url_of
from tests.support.node_graphs import graph_of
from tests.support.rows import Rows

TOO_LARGE = "x" * (15 * MIB)
SMALL = SizeLimits(max_checkpoint_bytes=10_000)


def content(saver: SQLAlchemySaver) -> dict[str, Any]:
    """All rows of all tables."""
    return Rows.of(saver).tables


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "blobs" in str(path)]


def put_now(saver: SQLAlchemySaver, where: RunnableConfig, values: dict[str, Any], **more: Any) -> RunnableConfig:
    made = checkpoint(values)
    return saver.put(where, made, metadata(**more), made["channel_versions"])


def weight(saver: SQLAlchemySaver, made: Any, **more: Any) -> int:
    """The serialised bytes of a checkpoint, as its rows and metadata would have them."""
    values = sum(len(serialise(saver.serde, value, "").data) for value in made["channel_values"].values())
    body = {name: part for name, part in made.items() if name not in ("channel_values", "channel_versions", "id", "v")}
    told = json.dumps(metadata(**more), separators=(",", ":"))
    return values + len(serialise(saver.serde, body, "").data) + len(told)


async def aput(saver: SQLAlchemySaver, where: RunnableConfig, big: Any) -> None:
    await put(saver, where, {"fine": 1, "messages": big})


async def sync_put(saver: SQLAlchemySaver, where: RunnableConfig, big: Any) -> None:
    put_now(saver, where, {"fine": 1, "messages": big})


async def aput_writes(saver: SQLAlchemySaver, where: RunnableConfig, big: Any) -> None:
    await saver.aput_writes(where, [("fine", 1), ("messages", big[: len(big) // 2]), ("messages", big[: len(big) // 2])], "task")


async def sync_put_writes(saver: SQLAlchemySaver, where: RunnableConfig, big: Any) -> None:
    saver.put_writes(where, [("fine", 1), ("messages", big)], "task")


@pytest.mark.parametrize("act", [aput, sync_put, aput_writes, sync_put_writes])
async def test_what_is_too_large_is_refused_by_itself(
    saver: SQLAlchemySaver, tmp_path: Path, caplog: pytest.LogCaptureFixture, act: Callable[..., Awaitable[None]]
) -> None:
    where = await put(saver, config("thread-7"), {"n": 1})
    before, objects = content(saver), files(tmp_path)
    with caplog.at_level(logging.INFO, "ckptstore"), pytest.raises(CheckpointTooLarge) as refused:
        await act(saver, where, TOO_LARGE)
    message = str(refused.value)
    assert isinstance(refused.value, ValueError)
    for said in ("'thread-7'", ": 15MB exceeds limit 10MB", "largest channels: messages 15MB", "max_checkpoint_bytes of SizeLimits"):
        assert said in message
    assert "xxx" not in message
    (record,) = [vars(each) for each in caplog.records if vars(each).get("event") == "refused"]
    assert (record["levelname"], record["limit"], next(iter(record["largest"]))) == ("WARNING", 10 * MIB, "messages")
    assert 15 * MIB < record["bytes"] < 15 * MIB + 1_000
    assert content(saver) == before
    assert files(tmp_path) == objects
    # The place in the queue is free again, and the thread goes on.
    after = await put(saver, where, {"n": 2}, step=1)
    await saver.aput_writes(after, [("n", 3)], "task")
    found = await saver.aget_tuple(config("thread-7"))
    assert found is not None
    assert (found.checkpoint["channel_values"], found.parent_config) == ({"n": 2}, where)


@pytest.mark.parametrize("depth", [0, 1])
async def test_a_graph_that_grows_too_large_fails_and_keeps_its_earlier_states(saver: SQLAlchemySaver, depth: int) -> None:
    grown = {"to": 10}
    graph = graph_of(lambda _: {"log": ["y" * grown["to"]]}, depth, saver)
    await graph.ainvoke({"log": []}, config("t"))
    before = await saver.alist(config("t", checkpoint_ns=""))
    grown["to"] = 11 * MIB
    with pytest.raises(CheckpointTooLarge, match="largest channels: log 11MB"):
        await graph.ainvoke({"log": []}, config("t"))
    assert [found for found in await saver.alist(config("t", checkpoint_ns="")) if found in before] == before
    assert max(row["size"] for table in ("ckpt_write", "ckpt_channel") for row in content(saver)[table]) < MIB
    grown["to"] = 20
    assert len((await graph.ainvoke({"log": []}, config("t")))["log"][-1]) == 20


@pytest.mark.parametrize("room", [0, -1])
async def test_the_limit_itself_is_allowed_and_a_byte_more_is_not(room: int) -> None:
    made = checkpoint({"a": "a" * 700, "b": list(range(50))}, pending_sends=["z" * 90])
    with SQLAlchemySaver.from_conn_string(":memory:") as plain:
        exactly = weight(plain, made, note="n" * 100)
    limits = SizeLimits(max_checkpoint_bytes=exactly + room)
    async with SQLAlchemySaver.from_conn_string(":memory:", limits=limits) as saver:

        async def act() -> Any:
            told = metadata(note="n" * 100)
            return await saver.aput({"configurable": {"thread_id": "t"}}, made, told, made["channel_versions"])

        if room == 0:
            assert await act()
        else:
            with pytest.raises(CheckpointTooLarge, match=f"{exactly} bytes exceeds limit {exactly - 1} bytes"):
                await act()


@pytest.mark.parametrize("remembered", [True, False], ids=["same saver", "new saver"])
async def test_channels_that_did_not_change_count(lasting_url: str, remembered: bool) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url, limits=SMALL) as first:
        where = await first.aput(config("t"), checkpoint({"kept": "k" * 6_000}, {"kept": "1"}), metadata(), {"kept": "1"})
        async with SQLAlchemySaver.from_conn_string(lasting_url, limits=SMALL) as second:
            saver = first if remembered else second
            for size, fits in ((3_000, True), (5_000, False), (3_100, True)):
                made = checkpoint({"kept": "k" * 6_000, "n": "n" * size}, {"kept": "1", "n": f"2.{size}"})
                if fits:
                    await saver.aput(where, made, metadata(1), {"n": f"2.{size}"})
                else:
                    with pytest.raises(CheckpointTooLarge, match="largest channels: kept 6003 bytes, n 5003 bytes"):
                        await saver.aput(where, made, metadata(1), {"n": f"2.{size}"})
        assert len(await first.alist(config("t"))) == 3


async def test_a_fork_is_measured_by_its_own_versions() -> None:
    async with SQLAlchemySaver.from_conn_string(":memory:", limits=SMALL) as saver:
        large = checkpoint({"kept": "k" * 8_000}, {"kept": "1"})
        first = await saver.aput(config("t"), large, metadata(), {"kept": "1"})
        small = checkpoint({"kept": "k"}, {"kept": "2"})
        newest = await saver.aput(first, small, metadata(1), {"kept": "2"})
        # What the saver knows of is the newest checkpoint's small version; the fork carries the large one over.
        fork = checkpoint({"kept": "k" * 8_000, "n": "n" * 3_000}, {"kept": "1", "n": "9"})
        with pytest.raises(CheckpointTooLarge, match="kept 8003 bytes, n 3003 bytes"):
            await saver.aput(first, fork, metadata(1), {"n": "9"})
        going_on = checkpoint({"kept": "k", "n": "n" * 8_000}, {"kept": "2", "n": "9"})
        await saver.aput(newest, going_on, metadata(2), {"n": "9"})
        elsewhere = checkpoint({"kept": "k" * 8_000, "n": "n" * 3_000}, {"kept": "2", "n": "9"})
        with pytest.raises(CheckpointTooLarge, match="kept 8003 bytes"):
            await saver.aput(config("t", checkpoint_ns="sub"), elsewhere, metadata(2), {"n": "9"})


@pytest.fixture(params=[("memory", False), ("sqlite", False), ("asyncpg", False), ("asyncpg", True)], ids=str)
def somewhere(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path | None]:
    """An empty database, and where its blobs go."""
    database, has_folder = request.param
    return url_of(database, request, tmp_path), tmp_path / "blobs" if has_folder else None


async def test_large_binary_leaves_do_not_count(somewhere: tuple[str, Path | None]) -> None:
    url, blobs = somewhere
    async with SQLAlchemySaver.from_conn_string(url, blob_url=blobs) as saver:
        values = {"file": {"content": os.urandom(15 * MIB)}, "n": 1}
        found = await saver.aget_tuple(await put(saver, config("t"), values))
        assert found is not None
        assert found.checkpoint["channel_values"] == values
        # Just below what is stored by itself, it counts as any value does.
        with pytest.raises(CheckpointTooLarge, match="files 10"):
            await put(saver, config("t"), {"files": [os.urandom(65_535) for _ in range(165)]})


@pytest.mark.parametrize("kind", ["leaf", "write", "bytes", "path", "stream"])
@pytest.mark.parametrize("over", [0, 1])
async def test_a_blob_has_a_limit_of_its_own(tmp_path: Path, kind: str, over: int, caplog: pytest.LogCaptureFixture) -> None:
    limits = SizeLimits(max_blob_bytes=70_000, max_checkpoint_bytes=None)
    data = os.urandom(70_000 + over)
    path = tmp_path / "file"
    path.write_bytes(data)
    async with SQLAlchemySaver.from_conn_string(tmp_path / "c.sqlite", limits=limits) as saver:
        where = await put(saver, config("t"), {"n": 1})
        acts: dict[str, Callable[[], Awaitable[Any]]] = {
            "leaf": lambda: put(saver, where, {"files": [data]}),
            "write": lambda: saver.aput_writes(where, [("files", {"a": data})], "task"),
            "bytes": lambda: saver.blobs.put(data),
            "path": lambda: saver.blobs.put(path),
            "stream": lambda: saver.blobs.put(io.BytesIO(data)),
        }
        before = content(saver)
        if not over:
            await acts[kind]()
            assert len(content(saver)["ckpt_object"]) == 1
            return
        with caplog.at_level(logging.INFO, "ckptstore"), pytest.raises(CheckpointTooLarge, match="raise max_blob_bytes") as refused:
            await acts[kind]()
        assert ("channel 'files' of thread 't'" in str(refused.value)) == (kind in ("leaf", "write"))
        assert [vars(each)["bytes"] for each in caplog.records if vars(each).get("event") == "refused"] == [70_001]
        assert content(saver) == before
        assert files(tmp_path) == []


async def test_without_a_limit_nothing_is_refused_and_metadata_counts_with_one() -> None:
    async with SQLAlchemySaver.from_conn_string(":memory:", limits=SizeLimits(max_checkpoint_bytes=None)) as saver:
        await put(saver, config("t"), {"large": TOO_LARGE})
    async with SQLAlchemySaver.from_conn_string(":memory:", limits=SMALL) as saver:
        with pytest.raises(CheckpointTooLarge, match="other data 11"):
            await put(saver, config("t"), {"n": 1}, note="n" * 11_000)
        assert await saver.alist(None) == []


@pytest.mark.parametrize(("size", "limit", "warned"), [(7_000, SMALL, False), (7_990, SMALL, True), (9_500, SMALL, True)])
async def test_what_is_nearly_too_large_is_warned_of(caplog: pytest.LogCaptureFixture, size: int, limit: SizeLimits, warned: bool) -> None:
    async with SQLAlchemySaver.from_conn_string(":memory:", limits=limit) as saver:
        with caplog.at_level(logging.INFO, "ckptstore"):
            await put(saver, config("t"), {"n": 1, "large": "n" * size})
        told = [vars(each) for each in caplog.records if vars(each).get("event") == "nearly_too_large"]
        assert [(each["levelname"], each["limit"]) for each in told] == [("WARNING", 10_000)] * warned
        for each in told:
            assert each["largest"]["large"] == size + 3
            assert size < each["bytes"] < size + 300
        assert len(await saver.alist(None)) == 1
