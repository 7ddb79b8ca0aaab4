"""A run of a transfer: what it chooses, what it does where something is at the target, and how it goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import DatabaseUnavailable, InvalidConfig, InvalidFilter, ThreadExists
from ckptstore.transfer.own_source import OwnSource
from ckptstore.transfer.report import TransferReport
from ckptstore.transfer.writing import StoreParcel
from tests.support.build import checkpoint, config, metadata
from tests.support.checked_rows import run as execute
from tests.support.clocks import START_OF_TIME, Days
from tests.support.transfers import contents, fill, pair, rows_of, threads_of

Pair = tuple[SQLAlchemySaver, SQLAlchemySaver]


@pytest.fixture(params=[("sqlite", "asyncpg"), ("asyncpg", "sqlite")], ids=["sqlite to postgres", "postgres to sqlite"])
def savers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    """A source with three threads of the first of January, and an empty target. Its clock is a day later."""
    with pair(request, tmp_path, *request.param) as (one, other):
        one.clock = other.clock = clock = Days()
        fill(one, blobs=False)
        clock.go_to(1)
        yield one, other


def more(saver: SQLAlchemySaver, thread_id: str = "t1") -> None:
    """Another checkpoint, with a write."""
    made = checkpoint({"n": 7, "note": "another note, of more than thirty-two characters"}, {"n": "00000007.x", "note": "00000007.x"})
    where = saver.put(config(thread_id, _newest(saver, thread_id)), made, metadata(7, user_id="later"), made["channel_versions"])
    saver.put_writes(where, [("n", 8)], "later")


def _newest(saver: SQLAlchemySaver, thread_id: str) -> str:
    found = saver.get_tuple(config(thread_id))
    assert found is not None
    return str(found.checkpoint["id"])


def test_a_second_run_brings_nothing(savers: Pair) -> None:
    one, other = savers
    one.copy_to(other)
    before = rows_of(other)
    report = one.copy_to(other)
    assert (report.threads, report.updated_threads, report.unchanged_threads) == (0, 0, 3)
    assert rows_of(other) == before


def test_a_later_run_brings_what_has_changed(savers: Pair) -> None:
    one, other = savers
    one.copy_to(other)
    more(one)
    more(one)
    report = one.copy_to(other)
    assert (report.threads, report.updated_threads, report.unchanged_threads) == (0, 1, 2)
    assert (report.checkpoints, report.writes) == (2, 2)
    assert rows_of(other) == rows_of(one)


def test_what_was_written_within_the_second_of_the_last_run_is_brought(savers: Pair) -> None:
    one, other = savers
    clock = one.clock
    assert isinstance(clock, Days)
    clock.go_to(0)
    one.copy_to(other)
    # The thread's row says nothing of it: its activity is noted once a second.
    one.put_writes(config("t1", _newest(one, "t1")), [("n", 5)], "at once")
    assert one.copy_to(other).writes == 1
    assert contents(other) == contents(one)


def test_a_replaced_checkpoint_is_replaced_with_its_tags(savers: Pair) -> None:
    one, other = savers
    one.copy_to(other)
    found = one.get_tuple(config("t1"))
    assert found is not None
    one.put(config("t1"), found.checkpoint, metadata(3, user_id="somebody else"), {})
    one.copy_to(other)
    assert rows_of(other) == rows_of(one)
    assert [each.config for each in other.list(None, filter={"user_id": "somebody else"})] == [found.config]


@pytest.mark.parametrize("mirror", [True, False])
def test_what_was_deleted_is_deleted_if_asked(savers: Pair, mirror: bool) -> None:
    one, other = savers
    one.copy_to(other)
    before = contents(other)
    one.delete_thread("t0")
    one.prune(["t1"], strategy="keep_latest")
    report = one.copy_to(other, mirror=mirror)
    assert report.deleted_threads == mirror
    if mirror:
        assert contents(other) == contents(one)
        assert not {name for name, rows in rows_of(other).items() if name != "ckpt_segment" and rows != rows_of(one)[name]}
    else:
        assert {key for key in before if key not in contents(other)} == set()


def test_a_thread_that_its_target_wrote_to_is_not_mirrored(savers: Pair) -> None:
    one, other = savers
    one.copy_to(other)
    more(other, "t0")
    one.delete_thread("t0")
    assert one.copy_to(other, mirror=True).deleted_threads == 0
    assert "t0" in threads_of(other)


def test_a_thread_that_both_wrote_to_is_never_mixed(savers: Pair) -> None:
    one, other = savers
    one.copy_to(other)
    more(one)
    more(other)
    before = rows_of(other)
    for on_conflict in ("skip", "continue"):
        report = one.copy_to(other, on_conflict=on_conflict)
        assert report.skipped_threads == ["t1"]
        assert rows_of(other) == before
    with pytest.raises(ThreadExists, match="t1"):
        one.copy_to(other, on_conflict="refuse")
    assert rows_of(other) == before


def test_a_thread_that_is_there_for_another_reason_is_continued_if_asked(savers: Pair) -> None:
    one, other = savers
    one.copy_to(other)
    # As a copy of the file would be: nothing is remembered.
    execute(other, "DELETE FROM ckpt_setting")
    assert one.copy_to(other).unchanged_threads == 3
    execute(other, "DELETE FROM ckpt_setting")
    more(one)
    assert one.copy_to(other).skipped_threads == ["t1"]
    assert one.copy_to(other, on_conflict="continue").updated_threads == 1
    assert rows_of(other) == rows_of(one)


def test_threads_are_chosen_by_id_filter_and_time(savers: Pair) -> None:
    one, other = savers
    more(one, "t2")
    assert one.copy_to(other, since=START_OF_TIME + timedelta(hours=1)).threads == 1
    assert threads_of(other) == ["t2"]
    one.copy_to(other, filter={"user_id": "u1"})
    assert threads_of(other) == ["t1", "t2"]
    one.copy_to(other, threads=["t0", "nobody"])
    assert threads_of(other) == ["t0", "t1", "t2"]


def test_only_the_newest_checkpoints_are_copied_with_what_they_need(savers: Pair) -> None:
    one, other = savers
    one.copy_to(other, newest=2, verify="objects")
    left = contents(other, "t1")
    assert len(left) == 2
    whole = contents(one, "t1")
    assert {key: found[0] for key, found in left.items()} == {key: whole[key][0] for key in left}
    assert other.verify(deep=True).ok
    (thread,) = other.list_threads(filter={"user_id": "u1"})
    assert thread.checkpoints == 2


def fail_at(monkeypatch: pytest.MonkeyPatch, number: int, exc: BaseException) -> None:
    calls = iter(range(1_000))
    store = StoreParcel.__call__

    def fail(self: StoreParcel, db: Any) -> None:
        if next(calls) == number:
            raise exc
        store(self, db)

    monkeypatch.setattr(StoreParcel, "__call__", fail)


def test_a_run_that_ended_midway_continues(savers: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = savers
    monkeypatch.setattr("ckptstore.transfer.parcel._THREADS_PER_PARCEL", 1)
    with monkeypatch.context() as patch:
        fail_at(patch, 1, DatabaseUnavailable("gone", transient=False))
        with pytest.raises(DatabaseUnavailable, match="gone"):
            one.copy_to(other)
    assert threads_of(other) == ["t0"]
    assert contents(other) == contents(one, "t0")
    report = one.copy_to(other)
    assert (report.threads, report.unchanged_threads) == (2, 1)
    assert rows_of(other) == rows_of(one)


def test_a_commit_of_unknown_outcome_is_found(savers: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = savers
    store = StoreParcel.__call__

    def twice(self: StoreParcel, db: Any) -> None:
        store(self, db)
        store(self, db)

    monkeypatch.setattr(StoreParcel, "__call__", twice)
    assert one.copy_to(other).threads == 3
    more(one)
    assert one.copy_to(other).updated_threads == 1
    assert rows_of(other) == rows_of(one)


def test_a_run_that_is_stopped_is_reported_as_such(savers: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = savers
    monkeypatch.setattr("ckptstore.transfer.parcel._THREADS_PER_PARCEL", 1)
    done: list[int] = []

    def progress(_report: TransferReport, count: int) -> None:
        done.append(count)

    assert one.copy_to(other, should_stop=partial(bool, done), progress=progress).stopped == (len(done) < 3)
    assert not one.copy_to(other).stopped
    assert rows_of(other) == rows_of(one)


def test_a_damaged_thread_fails_alone(savers: Pair) -> None:
    one, other = savers
    execute(one, "UPDATE ckpt_write SET channel = 'x' WHERE thread_id = 't1' AND task_id = 'task-2'")
    report = one.copy_to(other)
    assert report.threads == 2
    assert "checksum does not match" in report.failed_threads["t1"]
    assert threads_of(other) == ["t0", "t2"]


def test_a_thread_that_appears_at_the_target_meanwhile_is_left_alone(savers: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = savers
    store = StoreParcel.__call__

    def appear(self: StoreParcel, db: Any) -> None:
        monkeypatch.setattr(StoreParcel, "__call__", store)
        execute_on = "INSERT INTO ckpt_thread (thread_id, created_at, updated_at, generation) VALUES ('t1', 1, 1, 5)"
        db.execute(execute_on)
        store(self, db)

    monkeypatch.setattr(StoreParcel, "__call__", appear)
    report = one.copy_to(other)
    # It has no checkpoint and no write: all that it has is at the source, too.
    assert (report.threads, report.skipped_threads) == (2, ["t1"])
    assert contents(other, "t1") == {}


@pytest.mark.parametrize(
    ("options", "exc", "says"),
    [
        ({"newest": 0}, InvalidConfig, "newest"),
        ({"since": "yesterday"}, InvalidConfig, "since"),
        ({"threads": "t1"}, InvalidConfig, "threads"),
        ({"threads": ["t1"], "filter": {"a": 1}}, InvalidConfig, "either"),
        ({"filter": {"a": {"$no": 1}}}, InvalidFilter, "no"),
        ({"mirror": True, "newest": 3}, InvalidConfig, "mirror"),
        ({"blobs": "keep"}, InvalidConfig, "same blob URL"),
    ],
)
def test_wrong_options_are_refused(savers: Pair, options: dict[str, Any], exc: type[Exception], says: str) -> None:
    one, other = savers
    with pytest.raises(exc, match=says):
        one.copy_to(other, **options)
    assert threads_of(other) == []


def test_all_of_a_thread_comes_after_a_part_of_it(savers: Pair) -> None:
    one, other = savers
    execute(one, "UPDATE ckpt_thread SET updated_at = 1")
    assert one.copy_to(other, newest=2).checkpoints == 6
    assert one.copy_to(other, newest=2).checkpoints == 0
    assert one.copy_to(other).updated_threads == 3
    assert rows_of(other) == rows_of(one)
    assert one.copy_to(other).unchanged_threads == 3


def test_threads_that_do_not_exist_are_named(savers: Pair) -> None:
    one, other = savers
    report = one.copy_to(other, threads=["nobody", "t1"])
    assert (report.threads, report.missing_threads) == (1, ["nobody"])


def test_another_target_is_refused(savers: Pair) -> None:
    with pytest.raises(InvalidConfig, match="must be a SQLAlchemySaver"):
        savers[0].copy_to("postgresql://somewhere")  # type: ignore[arg-type]


@pytest.mark.parametrize("checksum", ["checksum", "NULL"], ids=["checked", "from before checksums"])
def test_an_altered_checkpoint_is_named_and_the_other_threads_are_copied(savers: Pair, checksum: str) -> None:
    one, other = savers
    execute(one, f"UPDATE ckpt_checkpoint SET metadata = '[1]', checksum = {checksum} WHERE thread_id = 't1'")
    report = one.copy_to(other)
    assert (report.threads, list(report.failed_threads)) == (2, ["t1"])
    assert "checkpoint" in report.failed_threads["t1"]
    assert "t1" not in threads_of(other)


async def test_a_target_that_fails_while_more_is_read_ends_the_run(savers: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = savers
    monkeypatch.setattr("ckptstore.transfer.parcel._THREADS_PER_PARCEL", 1)
    for number in range(3, 6):
        await one.acopy_thread("t0", f"t{number}")
    read: list[str] = []
    third_is_read, failed = threading.Event(), threading.Event()
    parcel, store = OwnSource.parcel, StoreParcel.__call__

    async def noted(self: OwnSource, threads: Any, existing: Any) -> Any:
        read.append(threads[0].thread_id)
        found = await parcel(self, threads, existing)
        if len(read) == 3:
            # The queue is full: the second one waits in it.
            third_is_read.set()
        return found

    def fail(self: StoreParcel, db: Any) -> None:
        if not failed.is_set():
            failed.set()
            db.compute(10**6, third_is_read.wait, 60)
            raise DatabaseUnavailable("no space left on device", transient=False)
        store(self, db)

    monkeypatch.setattr(OwnSource, "parcel", noted)
    monkeypatch.setattr(StoreParcel, "__call__", fail)
    async with asyncio.timeout(120):
        with pytest.raises(DatabaseUnavailable, match="no space"):
            await one.acopy_to(other)
        assert (await one.acopy_to(other)).threads == 6
