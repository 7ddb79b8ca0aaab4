"""Threads whose deletion died half way are copied as they are once it ends: the source is only read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.maintenance import delete
from ckptstore.maintenance.prune_plan import keep_all_but
from ckptstore.runtime.steps import drive
from ckptstore.transfer.moving import Move, unseal
from ckptstore.transfer.options import TransferCallbacks
from ckptstore.transfer.seal import seal_store
from tests.support.build import checkpoint, config, metadata
from tests.support.places import DIRECTIONS
from tests.support.transfers import contents, fill, pair, rows_of, threads_of

Pair = tuple[SQLAlchemySaver, SQLAlchemySaver]


@pytest.fixture(params=DIRECTIONS)
def savers(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    monkeypatch.setattr(delete, "_CHECKPOINTS_AT_ONCE", 2)
    with pair(request, tmp_path, *request.param) as (one, other):
        fill(one)
        yield one, other


def begin_deletion(saver: SQLAlchemySaver, thread_id: str, done: int) -> None:
    """Delete so many checkpoints of a thread, and die."""
    begun = saver.store.runner.write(partial(delete.delete_thread, thread_id=thread_id)).result()
    assert isinstance(begun, delete.LargeThread)
    gone = sorted(begun.checkpoints)[:done]
    drive(saver.store._new_pruner().threads([(thread_id, keep_all_but(frozenset(gone)))]))


def put_more(saver: SQLAlchemySaver, thread_id: str) -> None:
    for step in range(2):
        made = checkpoint({"n": step, "text": "of a new life " * 9}, dict.fromkeys(("n", "text"), f"{step + 50:08}.new"))
        where = saver.put(config(thread_id), made, metadata(step, user_id="new"), made["channel_versions"])
        saver.put_writes(where, [("n", step)], "task-new")


@pytest.mark.parametrize("newest", [None, 1])
def test_what_is_left_is_copied_and_nothing_else(savers: Pair, newest: int | None) -> None:
    one, other = savers
    begin_deletion(one, "t0", 2)
    begin_deletion(one, "t1", 2)
    put_more(one, "t1")
    before = rows_of(one)
    report = one.copy_to(other, newest=newest, verify="objects")
    assert report.ok, report
    assert (report.threads, rows_of(one)) == (2, before)
    assert threads_of(other) == ["t1", "t2"]
    drive(one.store.finish_deletions())
    assert len(contents(other, "t1")) == (newest or 2)
    assert contents(other, "t1").items() <= contents(one, "t1").items()
    assert other.verify(deep=True).ok
    assert [each.thread_id for each in other.list_threads(filter={"user_id": "u1"})] == []


def test_a_mirror_deletes_what_an_earlier_run_has_brought(savers: Pair) -> None:
    one, other = savers
    assert one.copy_to(other).ok
    begin_deletion(one, "t0", 1)
    begin_deletion(one, "t1", 3)
    put_more(one, "t1")
    report = one.copy_to(other, mirror=True)
    assert (report.ok, report.deleted_threads) == (True, 1)
    assert (threads_of(other), len(contents(other, "t1"))) == (["t1", "t2"], 2)
    drive(one.store.finish_deletions())
    assert one.copy_to(other, mirror=True).ok
    assert contents(other) == contents(one)


def test_a_deletion_that_the_seal_interrupts_has_ended_at_the_target(savers: Pair) -> None:
    one, other = savers
    begin_deletion(one, "t0", 2)
    # As a move that was killed after the seal, and is run again.
    move = Move(one.store, other.store, None, "digests", LANGGRAPH, other._now, TransferCallbacks())
    one.store.runner.write(partial(seal_store, seal=move._seal())).result()
    try:
        assert drive(move.run()).done
        assert threads_of(other) == ["t1", "t2"]
    finally:
        drive(unseal(one.store))
