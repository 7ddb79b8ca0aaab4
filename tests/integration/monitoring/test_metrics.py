"""Metrics of OpenTelemetry: what is recorded, under which attributes, and what a store that is closed leaves."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest

from ckptstore import RetentionPolicy, SizeLimits, SQLAlchemySaver
from ckptstore.errors import BlobUnavailable, CheckpointTooLarge
from tests.support.build import chain, config, put
from tests.support.telemetry import Telemetry

BIG = bytes(range(256)) * 1_000
DURATION = "db.client.operation.duration"


@pytest.fixture
async def saver(url: str, tmp_path: Path, otel: Telemetry) -> Any:
    async with SQLAlchemySaver.from_conn_string(url, monitoring=otel.settings, blob_url=str(tmp_path / "blobs")) as saver:
        await saver.setup()
        yield saver


async def test_durations_of_operations(saver: SQLAlchemySaver, otel: Telemetry) -> None:
    where = (await chain(saver, "t", 3))[-1]
    await saver.aput_writes(where, [("x", 1)], "task")
    await saver.aget_tuple(where)
    await saver.alist(config("t"))
    assert otel.values(DURATION, "db.operation.name") == {("put",): 3, ("put_writes",): 1, ("get",): 1, ("list",): 1, ("commit",): 4}
    for point in otel.points(DURATION):
        assert set(point.attributes) == {"db.system.name", "db.namespace", "db.operation.name"}
        assert 0 < point.sum < 60


async def test_bytes_and_sizes_of_batches(saver: SQLAlchemySaver, otel: Telemetry) -> None:
    await put(saver, config("first"))
    await asyncio.gather(*[put(saver, config(f"t{number}")) for number in range(20)])
    where = await put(saver, config("t"), {"data": BIG})
    saver.store._cache._start()
    await saver.aget_tuple(where)
    stats = saver.stats().since_start
    (writes,) = otel.points("ckptstore.batch.writes")
    assert (writes.sum, writes.count) == (22, stats.commit.count)
    sizes = {point.attributes["db.operation.name"]: point.sum for point in otel.points("ckptstore.io")}
    assert sizes == {"commit": stats.bytes_written, "upload": stats.bytes_uploaded, "download": stats.bytes_downloaded}
    assert otel.values("ckptstore.blob.duration", "db.operation.name") == {("upload",): 1, ("download",): 1}


async def test_errors(saver: SQLAlchemySaver, otel: Telemetry) -> None:
    small = saver.with_limits(SizeLimits(max_checkpoint_bytes=1_000))
    with pytest.raises(CheckpointTooLarge):
        await put(small, config("t"), {"text": "x" * 2_000})
    assert otel.values("ckptstore.errors", "db.operation.name", "error.type") == {("put", "CheckpointTooLarge"): 1}
    assert otel.values(DURATION, "db.operation.name", "error.type") == {("put", "CheckpointTooLarge"): 1}


async def test_retries(saver: SQLAlchemySaver, otel: Telemetry) -> None:
    saver.store.runner._retries._note_repetition(BlobUnavailable("lost"))  # type: ignore[attr-defined]
    saver.store.monitor.retried("blobs")
    assert otel.values("ckptstore.retries", "ckptstore.target") == {("database",): 1, ("blobs",): 1}


async def test_what_upkeep_gives_back(saver: SQLAlchemySaver, otel: Telemetry) -> None:
    for step in range(5):
        await put(saver, config("t"), {"data": BIG + bytes([step])}, step)
    report = await saver.aprune_by(RetentionPolicy(keep_last=1))
    await saver.aprune_by(RetentionPolicy(keep_last=1), dry_run=True)
    reclaimed = otel.values("ckptstore.reclaimed", "db.operation.name")
    assert reclaimed == ({("prune",): report.bytes} if report.bytes else {})
    assert otel.values("ckptstore.maintenance.duration", "db.operation.name") == {("prune",): 2}


async def test_gauges_of_all_stores_on_a_database_add_up(lasting_url: str, otel: Telemetry) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url, monitoring=otel.settings) as one:
        await put(one, config("t"))
        async with SQLAlchemySaver.from_conn_string(lasting_url, monitoring=otel.settings) as other:
            await put(other, config("t"))
            idle = one.stats().connections_idle + other.stats().connections_idle
            assert list(otel.values("ckptstore.connections.idle").values()) == [idle]
            assert list(otel.values("ckptstore.queue.depth").values()) == [0]
        assert list(otel.values("ckptstore.connections.idle").values()) == [one.stats().connections_idle]
    assert otel.values("ckptstore.connections.idle") == {}


async def test_a_saver_is_not_kept_alive(lasting_url: str, otel: Telemetry) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url, monitoring=otel.settings) as saver:
        await put(saver, config("t"))
        metrics = saver.store.monitor.metrics
        assert metrics is not None
        stores = metrics._instruments.stores
        assert len(stores) == 1
    del saver, metrics
    # Whatever else runs on this loop may still hold what it was passed.
    for _ in range(100):
        await asyncio.sleep(0)
        gc.collect()
        if not len(stores):
            break
    assert len(stores) == 0
