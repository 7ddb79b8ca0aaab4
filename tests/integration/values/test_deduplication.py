"""What is stored once, however often it is written, and removed with the last that needs it."""

from __future__ import annotations

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langgraph.graph import START, StateGraph
from sqlalchemy import func, select
from typing_extensions import TypedDict

from ckptstore import SQLAlchemySaver
from ckptstore.db.models import Channel, Segment
from ckptstore.records import Value
from ckptstore.values.chunking import chunk_value
from tests.support.build import checkpoint, config, metadata, put
from tests.support.values import MIB, SERDE, StoreAddress, read, rows, stored_bytes


class Upload(TypedDict):
    upload: bytes
    steps: int


def graph_on(saver: SQLAlchemySaver) -> Any:
    def pass_on(state: Upload) -> dict[str, Any]:
        return {"upload": state["upload"], "steps": state.get("steps", 0) + 1}

    return StateGraph(Upload).add_node("pass_on", pass_on).add_edge(START, "pass_on").compile(checkpointer=saver)


def upload_of(size: int, seed: int = 7) -> bytes:
    return random.Random(seed).randbytes(size)


async def test_an_upload_that_passes_through_a_graph_is_one_file(folder_address: StoreAddress) -> None:
    upload = upload_of(5 * MIB)
    async with folder_address.open() as saver:
        graph = graph_on(saver)
        for thread in "abc":
            await graph.ainvoke({"upload": upload}, config(thread))
        states = [state.values async for state in graph.aget_state_history(config("a"))]
    assert sum(state.get("upload") == upload for state in states) == 2
    (file,) = folder_address.files()
    assert file.read_bytes() == upload
    async with folder_address.open() as saver:
        assert (await graph_on(saver).aget_state(config("c"))).values == {"upload": upload, "steps": 1}


async def test_without_a_folder_an_upload_is_one_row_of_its_thread(address: StoreAddress) -> None:
    upload = upload_of(5 * MIB)
    async with address.open() as saver:
        for thread in "ab":
            await graph_on(saver).ainvoke({"upload": upload}, config(thread))
        kept = [row["data"] for table, row in rows(saver) if table == "ckpt_segment" and row["size"] >= MIB]
        assert len(kept) == 2
        assert set(kept) == ({None} if address.files() else {upload})
        assert (await graph_on(saver).aget_state(config("a"))).values["upload"] == upload


async def test_a_step_that_does_not_touch_an_upload_stores_next_to_nothing(folder_address: StoreAddress) -> None:
    async with folder_address.open() as saver:
        graph = graph_on(saver)
        await graph.ainvoke({"upload": upload_of(5 * MIB)}, config("t"))
        before, files = stored_bytes(saver), len(folder_address.files())
        for step in range(10):
            await graph.aupdate_state(config("t"), {"steps": 100 + step})
        assert len(folder_address.files()) == files
        values = [len(row["body"]) for table, row in rows(saver) if table == "ckpt_checkpoint"]
        assert max(values) < 2_000
        # Its tags and keys too.
        assert stored_bytes(saver) - before < 10 * 4_000
        assert (await graph.aget_state(config("t"))).values["steps"] == 109


@pytest.mark.parametrize("threads", [["t", "t"], ["a", "b"]], ids=["same thread", "two threads"])
async def test_the_same_upload_twice_at_once_is_one_file(folder_address: StoreAddress, threads: list[str]) -> None:
    upload = upload_of(5 * MIB)
    async with folder_address.open() as saver:
        await asyncio.gather(*[put(saver, config(thread), {"upload": upload}) for thread in threads])
        assert len(folder_address.files()) == 1
        for thread in threads:
            assert (await read(saver, config(thread)))["upload"] == upload


def test_the_same_upload_from_two_threads_of_the_process_is_one_file(folder_address: StoreAddress) -> None:
    upload, barrier = upload_of(5 * MIB), threading.Barrier(4)
    with folder_address.open() as saver:

        def work(thread: str) -> Any:
            made = checkpoint({"upload": upload, "files": [upload]})
            barrier.wait()
            return saver.put(config(thread), made, metadata(), made["channel_versions"])

        with ThreadPoolExecutor(4) as pool:
            places = list(pool.map(work, "abcd"))
        assert len(folder_address.files()) == 1
        for where in places:
            found = saver.get_tuple(where)
            assert found is not None
            assert found.checkpoint["channel_values"] == {"upload": upload, "files": [upload]}


async def test_a_copied_thread_shares_its_blobs_and_outlives_the_original(folder_address: StoreAddress) -> None:
    values = {"upload": upload_of(MIB), "lines": [f"line {n}" * 20 for n in range(3_000)]}
    async with folder_address.open() as saver:
        where = await put(saver, config("t"), values)
        await saver.aput_writes(where, list(values.items()), "task")
        files = sorted(folder_address.files())
        await saver.acopy_thread("t", "copy")
        assert sorted(folder_address.files()) == files
        await saver.adelete_thread("t")
    async with folder_address.open() as saver:
        found = await saver.aget_tuple(config("copy"))
        assert found is not None
        assert found.checkpoint["channel_values"] == values
        assert {channel: value for _, channel, value in found.pending_writes or []} == values
        assert await saver.aget_tuple(config("t")) is None


def segments_of(saver: SQLAlchemySaver, thread_id: str) -> int:
    count = select(func.count()).select_from(Segment).where(Segment.thread_id == thread_id)
    return int(saver.store.runner.read(lambda db: db.connection.execute(count).scalar_one()).result())


async def test_a_deleted_thread_leaves_no_segments(address: StoreAddress) -> None:
    async with address.open() as saver:
        for thread in ("t", "other"):
            where = await put(saver, config(thread), {"upload": upload_of(MIB), "lines": ["x" * 900 + str(n) for n in range(500)]})
            await saver.aput_writes(where, [("more", [f"line {n}" * 20 for n in range(500)])], "task")
        kept = segments_of(saver, "other")
        await saver.adelete_thread("t")
        assert segments_of(saver, "t") == 0
        assert segments_of(saver, "other") == kept > 0


async def test_a_prune_deletes_the_segments_that_no_kept_checkpoint_needs_and_no_other(address: StoreAddress) -> None:
    noise, where = random.Random(7), config("t")
    lines: list[Any] = [noise.randbytes(600).hex() for _ in range(150)]
    async with address.open() as saver:
        for step in range(8):
            lines = [*lines, *[noise.randbytes(600).hex() for _ in range(30)]] if step != 5 else ["new", *lines[20:]]
            values = {"lines": lines, "upload": upload_of(100_000, step // 3), "small": [noise.randbytes(400).hex()]}
            made = checkpoint(values, dict.fromkeys(values, f"{step:04}"))
            where = await saver.aput(where, made, metadata(step), made["channel_versions"])
            await saver.aput_writes(where, [("lines", lines[:100]), ("upload", upload_of(100_000, 100 + step))], f"task {step}")
        before = await saver.aget_tuple(where)
        assert before is not None
        many = segments_of(saver, "t")
        await saver.aprune(["t"])
        left = segments_of(saver, "t")
    async with address.open() as saver:
        assert await saver.aget_tuple(where) == before._replace(parent_config=None)
        assert len(await saver.alist(config("t"))) == 1
        needed = [Value(*SERDE.dumps_typed(value)) for value in (*values.values(), lines[:100], upload_of(100_000, 107))]
        named = {name for value in needed for made in [chunk_value(value)] for name in (*made.segments, *made.lists)}
        assert left == len(named) < many
        versions = select(func.count()).select_from(Channel)
        assert saver.store.runner.read(lambda db: db.connection.execute(versions).scalar_one()).result() == 3
        # What is stored after it relies on nothing that went.
        await put(saver, config("t"), {"upload": upload_of(100_000, 0), "lines": lines[:50]})
        assert await read(saver) == {"upload": upload_of(100_000, 0), "lines": lines[:50]}


async def test_a_saver_that_pruned_stores_again_what_it_took_away(address: StoreAddress) -> None:
    lines = [random.Random(n).randbytes(600).hex() for n in range(200)]
    first: dict[str, Any] = {"lines": lines, "upload": upload_of(100_000)}
    async with address.open() as saver:
        for step, values in enumerate([first, {"lines": [], "upload": b""}]):
            made = checkpoint(values, dict.fromkeys(values, str(step)))
            await saver.aput(config("t"), made, metadata(step), made["channel_versions"])
        await saver.aprune(["t"])
        assert segments_of(saver, "t") == 0
        made = checkpoint(first, dict.fromkeys(first, "2"))
        await saver.aput(config("t"), made, metadata(2), made["channel_versions"])
    async with address.open() as saver:
        assert await read(saver) == first
