"""A checkpoint whose segments are in the cache is read without them; whatever others did meanwhile, a read gives what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.blobs.settings import BlobSettings
from ckptstore.db.abilities import Abilities
from ckptstore.errors import CheckpointCorrupt
from ckptstore.reads.one_checkpoint import OneCheckpoint
from tests.support.build import checkpoint, config, metadata, put
from tests.support.checked_rows import run

# A driver of each runner.
on_each = pytest.mark.parametrize("lasting_url", ["sqlite", "asyncpg", "psycopg"], indirect=True)


def messages(start: int, end: int) -> list[str]:
    return [f"message {number} " * 20 for number in range(start, end)]


async def grow(saver: SQLAlchemySaver, thread_id: str, start: int, end: int, checkpoint_ns: str = "") -> None:
    """Put a list of messages each time with one more."""
    for length in range(start, end):
        version = f"{length:010}.{'0' * 12}"
        made = checkpoint({"messages": messages(0, length)}, {"messages": version})
        await saver.aput(config(thread_id, checkpoint_ns=checkpoint_ns), made, metadata(length), {"messages": version})


def reads_segments(saver: SQLAlchemySaver, thread_id: str = "t", checkpoint_ns: str = "") -> bool:
    """Whether the next read's statement, or its first one, reads segments."""
    store = saver.store
    work = OneCheckpoint(thread_id, checkpoint_ns, None, store._state_format, store._cache, store._cached_reads)
    return "ckpt_segment" in work.statement(store.runner.statements, Abilities()).text


async def newest(saver: SQLAlchemySaver, thread_id: str = "t", checkpoint_ns: str = "") -> Any:
    found = await saver.aget_tuple(config(thread_id, checkpoint_ns=checkpoint_ns))
    assert found == saver.get_tuple(config(thread_id, checkpoint_ns=checkpoint_ns))
    return found and found.checkpoint["channel_values"]["messages"]


async def lengths(saver: SQLAlchemySaver, expected: Sequence[tuple[int, bool]]) -> None:
    """Read so many messages one time after the other, each with segments from the database or without them."""
    for length, with_segments in expected:
        assert reads_segments(saver) == with_segments
        assert await newest(saver) == messages(0, length)


@on_each
async def test_what_a_process_wrote_or_read_is_in_its_cache(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver, SQLAlchemySaver.from_conn_string(lasting_url) as other:
        await grow(saver, "t", 1, 40)
        await lengths(saver, [(39, True), (39, False)])
        await grow(saver, "t", 40, 60)
        await lengths(saver, [(59, False)])
        # It wrote nothing of it; `newest` reads twice.
        await lengths(other, [(59, True), (59, False)])


@on_each
async def test_news_of_others_are_read_and_then_no_guess_is_made(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver, SQLAlchemySaver.from_conn_string(lasting_url) as other:
        await grow(saver, "t", 1, 40)
        await lengths(saver, [(39, True), (39, False)])
        await grow(other, "t", 40, 42)
        found = await saver.aget_tuple(config("t"))
        assert found is not None
        assert found.checkpoint["channel_values"]["messages"] == messages(0, 41)
        assert reads_segments(saver)
        await saver.adelete_thread("t")
        assert await newest(saver) is None
        assert await newest(other) is None


@on_each
async def test_each_namespace_counts_by_itself(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await grow(saver, "t", 38, 40)
        await grow(saver, "t", 18, 20, "child")
        assert await newest(saver) == messages(0, 39)
        assert (reads_segments(saver), reads_segments(saver, checkpoint_ns="child")) == (False, True)
        assert await newest(saver, checkpoint_ns="child") == messages(0, 19)
        assert not reads_segments(saver, checkpoint_ns="child")


async def test_a_cache_that_is_too_small_is_never_relied_on(lasting_url: str) -> None:
    for cache_bytes in (0, 2_000):
        settings = BlobSettings(cache_bytes=cache_bytes)
        async with SQLAlchemySaver.from_conn_string(lasting_url, blob_settings=settings) as saver:
            await grow(saver, f"t{cache_bytes}", 38, 40)
            for _ in range(3):
                assert await newest(saver, f"t{cache_bytes}") == messages(0, 39)
                assert reads_segments(saver, f"t{cache_bytes}")


async def test_what_left_the_cache_is_read_again(lasting_url: str) -> None:
    settings = BlobSettings(cache_bytes=20_000)
    async with SQLAlchemySaver.from_conn_string(lasting_url, blob_settings=settings) as saver:
        await grow(saver, "t", 38, 40)
        await lengths(saver, [(39, True), (39, False)])
        await put(saver, config("large"), {"messages": [f"other {number} " * 20 for number in range(90)]})
        assert not reads_segments(saver)
        assert await newest(saver) == messages(0, 39)


@pytest.mark.parametrize("checksum", ["checksum", "NULL"])
@pytest.mark.parametrize(("column", "wrong"), [("layout", "'[4]'"), ("size", "size - 1")])
async def test_altered_rows_are_noticed_although_the_segments_are_in_the_cache(
    lasting_url: str, column: str, wrong: str, checksum: str
) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await grow(saver, "t", 39, 40)
        assert await newest(saver) == messages(0, 39)
        assert not reads_segments(saver)
        run(saver, f"UPDATE ckpt_channel SET {column} = {wrong}, checksum = {checksum}")
        with pytest.raises(CheckpointCorrupt):
            await saver.aget_tuple(config("t"))
