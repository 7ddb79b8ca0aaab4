"""Runs of pruning by a policy: what goes, what is told of it, and what is left when all went."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import ChannelVersions

from ckptstore import PruneReport, RetentionPolicy, SQLAlchemySaver
from tests.support.build import chain, checkpoint, config, metadata, put
from tests.support.clocks import Days
from tests.support.remaining import assert_untouched, read_all
from tests.support.rows import Rows, rows

BIG = os.urandom(70_000)
NEWEST_TWO = RetentionPolicy(keep_last=2)
ALL = RetentionPolicy(max_age=timedelta(0))


@asynccontextmanager
async def opened(url: str, folder: Path, clock: Days) -> AsyncIterator[SQLAlchemySaver]:
    async with SQLAlchemySaver.from_conn_string(url, blob_url=folder / "blobs", clock=clock) as saver:
        yield saver


async def filled(saver: SQLAlchemySaver, clock: Days) -> None:
    """Five days, each with checkpoints of three threads, pending writes, values that are carried over, blobs, and a stray write."""
    where = {number: config(f"t{number}") for number in range(3)}
    for day in range(5):
        clock.go_to(day)
        today, kept = f"{day + 1:010}.x", f"{day // 2:010}.x"
        for number in range(3):
            values = {"n": day, "kept": ["word " * 300] * (day // 2), "file": bytes([day, number]) + BIG}
            made = checkpoint(values, {"n": today, "kept": kept, "file": today})
            new: ChannelVersions = made["channel_versions"] if day % 2 == 0 else {"n": today, "file": today}
            where[number] = await saver.aput(where[number], made, metadata(day, pinned=day == number), new)
            await saver.aput_writes(where[number], [("n", day), ("file", BIG + bytes([day]))], "task", "path")
        await put(saver, config("t1", checkpoint_ns="memory"), {"m": day, "file": BIG}, day)
        await saver.aput_writes(config("stray", f"never {day}"), [("x", day)], "task")
    clock.go_to(5)


async def read(saver: SQLAlchemySaver) -> dict[str, Any]:
    return {f"t{number}": await read_all(saver, f"t{number}") for number in range(3)}


POLICIES: dict[str, RetentionPolicy] = {
    "age": RetentionPolicy(max_age=timedelta(days=2.5)),
    "number": NEWEST_TWO,
    "age and number": RetentionPolicy(max_age=timedelta(days=1.5), keep_last=3),
    "exempt": RetentionPolicy(keep_last=1, keep_tags=[{"pinned": True}, {"step": {"$lt": 1}}]),
    "idle": RetentionPolicy(thread_ttl=timedelta(hours=1)),
    "not idle": RetentionPolicy(thread_ttl=timedelta(days=2)),
    "all": ALL,
}
LEFT: dict[str, tuple[list[int], list[int], list[int]]] = {
    "age": ([3, 4],) * 3,
    "number": ([3, 4],) * 3,
    "age and number": ([2, 3, 4],) * 3,
    "exempt": ([0, 4], [0, 1, 4], [0, 2, 4]),
    "idle": ([], [], []),
    "not idle": ([0, 1, 2, 3, 4],) * 3,
    "all": ([], [], []),
}


def payload(tables: dict[str, list[Any]]) -> int:
    columns = {"ckpt_checkpoint": "body", "ckpt_write": "value", "ckpt_channel": "value", "ckpt_segment": "data"}
    return sum(len(row[column] or b"") for table, column in columns.items() for row in tables[table])


@pytest.mark.parametrize("name", POLICIES)
async def test_a_dry_run_reports_what_a_run_deletes_and_deletes_nothing(url: str, tmp_path: Path, name: str) -> None:
    clock = Days()
    async with opened(url, tmp_path, clock) as saver:
        await filled(saver, clock)
        readings, before = await read(saver), Rows.of(saver)
        told: list[PruneReport] = []
        tried = await saver.aprune_by(POLICIES[name], dry_run=True, progress=told.append)
        assert tried.dry_run
        assert Rows.of(saver) == before
        done = await saver.aprune_by(POLICIES[name])
        after = Rows.of(saver)
        assert (done, done.dry_run, done.stopped) == (tried, False, False)
        went = {table: len(before.tables[table]) - len(after.tables[table]) for table in before.tables}
        assert went == {
            **dict.fromkeys(before.tables, 0),
            **{"ckpt_thread": done.deleted_threads, "ckpt_checkpoint": done.checkpoints, "ckpt_write": done.writes},
            **{"ckpt_channel": done.values, "ckpt_segment": done.segments, "ckpt_tag": went["ckpt_tag"]},
        }
        assert done.bytes == payload(before.tables) - payload(after.tables)
        lost = before.referred_objects() - after.referred_objects()
        assert done.objects == len(lost)
        assert done.object_bytes == sum(row["size"] for row in before.tables["ckpt_object"] if row["key"] in lost)
        for number, left in enumerate(LEFT[name]):
            found = [each.metadata["step"] for each in await saver.alist(config(f"t{number}", checkpoint_ns=""))]
            assert sorted(found) == left
            now = await read_all(saver, f"t{number}")
            assert_untouched(readings[f"t{number}"], now, set(now))
        strays_too = {thread for thread in after.orphans() if thread != "ckpt_write"}
        assert strays_too == set()
        assert await saver.aprune_by(POLICIES[name]) == PruneReport()


async def test_after_everything_went_the_tables_and_the_backend_are_empty(url: str, tmp_path: Path) -> None:
    clock = Days()
    async with opened(url, tmp_path, clock) as saver:
        await filled(saver, clock)
        report = await saver.aprune_by(ALL)
        assert (report.threads, report.deleted_threads, report.checkpoints, report.objects) == (4, 4, 20, 21)
        # The setting says where the blobs are.
        assert set(rows(saver)) == {"ckpt_object", "ckpt_setting"}
        left: list[int] = []
        for day in (5, 7, 9):
            clock.go_to(day)
            await saver.acollect(grace=timedelta(days=1))
            left.append(rows(saver).get("ckpt_object", 0))
        # Marked, and a day of grace later gone.
        assert (left[0], left[2], rows(saver)) == (21, 0, {"ckpt_setting": 1})
        assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


async def test_a_thread_is_deleted_when_idle_and_strays_when_old(saver: SQLAlchemySaver) -> None:
    clock = saver.clock = Days()
    await chain(saver, "written to", 2)
    await chain(saver, "idle", 2)
    clock.go_to(3)
    written = (await saver.alist(config("written to")))[0].config
    await saver.aput_writes(written, [("x", 1)], "task")
    await saver.aput_writes(config("strays", "never"), [("x", 1)], "task")
    clock.go_to(4)
    report = await saver.aprune_by(RetentionPolicy(thread_ttl=timedelta(days=2)))
    assert (report.threads, report.deleted_threads, report.checkpoints) == (1, 1, 2)
    assert {each.thread_id for each in await saver.alist_threads()} == {"written to", "strays"}
    report = await saver.aprune_by(RetentionPolicy(max_age=timedelta(hours=12), keep_last=2))
    assert (report.threads, report.deleted_threads, report.checkpoints, report.writes) == (1, 1, 0, 1)
    assert {each.thread_id for each in await saver.alist_threads()} == {"written to"}


@pytest.mark.parametrize(("policy", "went"), [(NEWEST_TWO, 3), (RetentionPolicy(keep_last=9), 0)])
async def test_every_run_leaves_a_trace(saver: SQLAlchemySaver, caplog: pytest.LogCaptureFixture, policy: Any, went: int) -> None:
    await chain(saver, "t", 5)
    for dry_run in (True, False):
        caplog.clear()
        with caplog.at_level(logging.INFO, "ckptstore"):
            report = await saver.aprune_by(policy, dry_run=dry_run)
        (record,) = [vars(each) for each in caplog.records if vars(each).get("event") == "pruned"]
        assert record["policy"] == policy.to_dict()
        assert {name: record[name] for name in report.to_dict()} == report.to_dict()
        assert (record["checkpoints"], record["dry_run"], record["levelname"]) == (went, dry_run, "INFO")
        assert record["seconds"] >= 0
