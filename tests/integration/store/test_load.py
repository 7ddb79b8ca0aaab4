"""The load that savers write into their database."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

import pytest

from ckptstore import DatabaseSettings, MonitoringSettings, RetentionPolicy, SQLAlchemySaver
from ckptstore.db.times import from_microseconds
from ckptstore.errors import DatabaseUnavailable
from ckptstore.store import load
from tests.support.build import chain, checkpoint, config, metadata, put
from tests.support.loads import add_loads, load_row
from tests.support.rows import Rows

HOUR = 3_600_000_000


def minute_over(saver: SQLAlchemySaver) -> None:
    """Let the minute of a saver end, so that what it does next has the row written."""
    assert saver.store.monitor.load_due_at > 0, "no minute has begun"
    saver.store.monitor.load_due_at = 0.0


def loads(saver: SQLAlchemySaver) -> list[Mapping[str, Any]]:
    if saver.store.load.writing is not None:
        saver.store.load.writing.exception()
    return Rows.of(saver).tables.get("ckpt_load", [])


async def test_a_minute_is_a_row_and_an_idle_one_is_none(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        where = (await chain(saver, "t", 3))[-1]
        await saver.aput_writes(where, [("a", 1)], "task")
        assert loads(saver) == []
        minute_over(saver)
        await put(saver, config("t"))
        (row,) = loads(saver)
        await put(saver, config("t"))
        assert len(loads(saver)) == 1
    assert (row["writes"], row["seconds"], row["errors"], row["queue_depth"]) == (4, 60, 0, 0)
    assert 1 <= row["commits"] <= 4
    assert row["bytes_written"] > 0
    assert row["commit_p99_microseconds"] > 0
    assert row["process"].endswith(f":{os.getpid()}")
    assert (row["connections_limit"] > 0, row["searched"]) == (True, {})


async def test_filters_and_failures_are_counted(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await put(saver, config("t"), user={"name": "ann"})
        await saver.alist(None, filter={"user": {"name": "ann"}, "step": 0})
        await saver.alist_threads(filter={"user.name": "ann"})
        await saver.adelete_for_runs(["run"])
        saver.store.monitor.put.failed(time.perf_counter(), ValueError())
        minute_over(saver)
        # A saver that only searches writes its row, too.
        await saver.alist(None, filter={"step": {"$gte": 7}})
        (row,) = loads(saver)
        assert (row["errors"], row["writes"]) == (1, 1)
        assert row["searched"] == {"user/name": 2, "step": 1, "run_id": 1}
        assert saver.stats().since_start.searched == {"user/name": 2, "step": 2, "run_id": 1}


async def test_the_setting_switches_it_off_and_memory_has_none(lasting_url: str) -> None:
    off = MonitoringSettings(record_load=False)
    async with (
        SQLAlchemySaver.from_conn_string(lasting_url, monitoring=off) as saver,
        SQLAlchemySaver.from_conn_string(":memory:") as other,
    ):
        for each in (saver, other):
            await put(each, config("t"))
            assert each.store.monitor.load_due_at == float("inf")


async def test_a_row_that_can_not_be_written_is_no_error_and_the_next_has_its_counts(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ckptstore.store.load")
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await chain(saver, "t", 2)
        saver.store.runner.write(lambda db: db.execute("ALTER TABLE ckpt_load RENAME TO gone")).result()
        minute_over(saver)
        await chain(saver, "u", 3)
        assert saver.store.load.writing is not None
        assert saver.store.load.writing.exception() is not None
        saver.store.runner.write(lambda db: db.execute("ALTER TABLE gone RENAME TO ckpt_load")).result()
        assert [record.__dict__["event"] for record in caplog.records] == ["load_not_recorded"]
        minute_over(saver)
        await put(saver, config("t"))
        assert [row["writes"] for row in loads(saver)] == [5]


async def test_old_rows_go_with_the_next_row_and_with_upkeep(lasting_url: str) -> None:
    now = time.time_ns() // 1000
    old, kept = now - load.KEPT_MICROSECONDS - HOUR, now - load.KEPT_MICROSECONDS + HOUR
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await put(saver, config("t"))
        add_loads(saver, load_row(old), load_row(kept))
        minute_over(saver)
        await put(saver, config("t"))
        assert loads(saver)[0]["started_at"] == from_microseconds(kept)
        add_loads(saver, load_row(old))
        await saver.aprune_by(RetentionPolicy(keep_last=1), dry_run=True)
        assert len(loads(saver)) == 3
        await saver.aprune_by(RetentionPolicy(keep_last=1))
        assert len(loads(saver)) == 2


async def test_the_wait_for_the_lock_is_in_the_row(sqlite_url: str) -> None:
    settings = DatabaseSettings(busy_timeout_seconds=0.05, retry_seconds=0.2)
    other = sqlite3.connect(sqlite_url, isolation_level=None)
    async with SQLAlchemySaver.from_conn_string(sqlite_url, settings=settings) as saver:
        await put(saver, config("t"))
        other.execute("BEGIN IMMEDIATE")
        saver.store.monitor.lock_waits.is_due = True
        with pytest.raises(DatabaseUnavailable):
            await put(saver, config("t"))
        other.execute("ROLLBACK")
        minute_over(saver)
        await put(saver, config("t"))
        (row,) = loads(saver)
        assert saver.store.monitor.counters.lock_samples == 1
        # One commit, and one wait of 50 ms.
        assert row["lock_wait_microseconds"] >= 40_000
        assert (row["commits"], row["errors"]) == (1, 1)
    other.close()


def test_a_child_process_has_rows_of_its_own(sqlite_url: str) -> None:
    with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        made = checkpoint({"n": 1})
        saver.put(config("t"), made, metadata(0), made["channel_versions"])
        assert saver.store.load._minute is not None
        saver.store.load._reset()
        assert saver.store.load._minute is None
        assert saver.store.monitor.load_due_at < 0
