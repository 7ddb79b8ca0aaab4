"""`saver.stats()`: what a saver did, on every database."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from ckptstore import BlobSettings, MonitoringSettings, SizeLimits, SQLAlchemySaver
from ckptstore.errors import CheckpointTooLarge
from ckptstore.langgraph import reading
from tests.support.build import chain, config, put


async def test_operations_are_counted(saver: SQLAlchemySaver) -> None:
    where = (await chain(saver, "t", 3))[-1]
    await saver.aput_writes(where, [("x", 1)], "task")
    await saver.aget_tuple(where)
    await saver.aget_tuple(config("nobody"))
    assert len(await saver.alist(config("t"))) == 3
    stats = await saver.astats()
    for period in (stats.since_start, stats.last_minute):
        counts = (period.put.count, period.put_writes.count, period.get.count, period.list.count)
        assert counts == (3, 1, 2, 1)
        assert period.commit.count == period.writes == 4
        assert period.batch_sizes.mean == 1
        assert period.put.p50_seconds is not None
        assert 0 < period.put.p50_seconds <= (period.put.p99_seconds or 0)
        assert period.bytes_written > 0
        assert period.errors == {}
    assert (stats.queue_depth, stats.in_flight, stats.queued_bytes) == (0, 0, 0)


def test_synchronous_operations_are_counted(url: str) -> None:
    with SQLAlchemySaver.from_conn_string(url) as saver:
        saver.setup()
        where = asyncio.run(put(saver, config("t")))
        for number in range(5):
            saver.put_writes(where, [("x", number)], f"task-{number}")
        saver.get_tuple(where)
        list(saver.list(None))
        stats = saver.stats().since_start
    assert (stats.put.count, stats.put_writes.count, stats.get.count, stats.list.count) == (1, 5, 1, 1)
    assert (stats.writes, stats.commit.count) == (6, 6)


async def test_writes_at_the_same_time_share_batches(saver: SQLAlchemySaver) -> None:
    await put(saver, config("first"))
    await asyncio.gather(*[put(saver, config(f"t{number}")) for number in range(40)])
    stats = saver.stats().since_start
    assert stats.writes == 41
    assert stats.commit.count < 41
    assert stats.batch_sizes.mean == 41 / stats.commit.count


async def test_connections_are_told(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await put(saver, config("t"))
        stats = saver.stats()
        assert stats.connections_in_use == 0
        assert 1 <= stats.connections_idle <= stats.connections_limit


async def test_errors_are_counted_by_class(saver: SQLAlchemySaver) -> None:
    small = saver.with_limits(SizeLimits(max_checkpoint_bytes=1_000))
    for _ in range(2):
        with pytest.raises(CheckpointTooLarge):
            await put(small, config("t"), {"text": "x" * 2_000})
    with pytest.raises(CheckpointTooLarge):
        small.put_writes(config("t", "c"), [("text", "x" * 2_000)], "task")
    # A copy shares the record.
    assert saver.stats().last_minute.errors == {"CheckpointTooLarge": 3}
    assert saver.stats().since_start.put.count == 0


async def test_a_value_that_can_not_be_read_is_an_error(saver: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    where = await put(saver, config("t"), {"n": ["a list"]})

    def refuse(*_: Any) -> None:
        raise ValueError("unreadable")

    monkeypatch.setattr(reading, "decode_checkpoint", refuse)
    with pytest.raises(ValueError, match="unreadable"):
        await saver.aget_tuple(where)
    with pytest.raises(ValueError, match="unreadable"):
        saver.get_tuple(where)
    stats = saver.stats().since_start
    assert (stats.errors, stats.get.count) == ({"ValueError": 2}, 0)


async def test_uploads_downloads_and_caches(url: str, tmp_path: Path) -> None:
    blobs = str(tmp_path / "blobs")
    async with SQLAlchemySaver.from_conn_string(url, blob_url=blobs) as saver:
        await saver.setup()
        where = await put(saver, config("t"), {"data": bytes(range(256)) * 1_000})
        written = saver.stats().since_start
        assert (written.upload.count, written.download.count) == (1, 0)
        assert written.bytes_uploaded > 0
    async with SQLAlchemySaver.from_conn_string(url, blob_url=blobs) as saver:
        if url == ":memory:":
            return
        await saver.aget_tuple(where)
        first = saver.stats().since_start
        assert (first.download.count, first.bytes_downloaded) == (1, written.bytes_uploaded)
        await saver.aget_tuple(where)
        again = saver.stats().since_start
        assert again.download.count == 1
        assert again.cache_hits > first.cache_hits
        assert again.cache_misses == first.cache_misses


async def test_what_takes_longer_than_its_bound_is_logged(url: str, caplog: pytest.LogCaptureFixture) -> None:
    settings = MonitoringSettings(slow_write_seconds=0, slow_read_seconds=0)
    async with SQLAlchemySaver.from_conn_string(url, monitoring=settings, blob_settings=BlobSettings()) as saver:
        await saver.setup()
        with caplog.at_level(logging.WARNING, "ckptstore"):
            where = await put(saver, config("t"), {"secret": "hunter2"}, note="geheim")
            await saver.aget_tuple(where)
            await saver.alist(config("t"))
    events = [record for record in caplog.records if record.__dict__.get("event") == "slow_operation"]
    assert [record.__dict__["operation"] for record in events] == ["put", "get", "list"]
    assert {record.__dict__["thread_id"] for record in events} == {"t"}
    assert events[0].__dict__["checkpoint_id"] == where["configurable"]["checkpoint_id"]
    assert "hunter2" not in str([record.__dict__ for record in events])
    assert "geheim" not in str([record.__dict__ for record in events])
