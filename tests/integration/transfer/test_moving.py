"""The live move: agents write while threads are copied, and nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import CheckpointCorrupt, DatabaseUnavailable, InvalidConfig, StoreMoved
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.maintenance import delete
from ckptstore.runtime.steps import drive, drive_async
from ckptstore.transfer.moving import Move, MoveReport, unseal
from ckptstore.transfer.options import TransferCallbacks
from ckptstore.transfer.report import TransferReport
from ckptstore.transfer.writing import StoreParcel
from tests.support.build import checkpoint, config, metadata
from tests.support.transfers import contents, fill, pair, rows_of, threads_of

Pair = tuple[SQLAlchemySaver, SQLAlchemySaver]


@pytest.fixture(params=[("sqlite", "asyncpg"), ("psycopg", "sqlite")], ids=["sqlite to postgres", "postgres to sqlite"])
def savers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    with pair(request, tmp_path, *request.param) as (one, other):
        fill(one)
        yield one, other
        # The server is that of the other tests, too.
        drive(unseal(one.store))


def the_move(savers: Pair, callbacks: TransferCallbacks = TransferCallbacks()) -> Move:  # noqa: B008
    one, other = savers
    return Move(one.store, other.store, None, "digests", LANGGRAPH, other._now, callbacks)


async def agent(saver: SQLAlchemySaver, name: str, acknowledged: list[tuple[str, str]]) -> StoreMoved:
    """Write until the store has moved."""
    where = config(name)
    for step in range(10_000):
        version = f"{step:08}.x"
        made = checkpoint({"n": step, "text": f"{name} {step} " * 20}, {"n": version, "text": version})
        try:
            where = await saver.aput(where, made, metadata(step), made["channel_versions"])
            await saver.aput_writes(where, [("n", step)], f"task {step}")
        except StoreMoved as exc:
            return exc
        acknowledged.append((name, made["id"]))
    raise AssertionError("it never moved")


async def enough(acknowledged: list[Any], number: int) -> None:
    while len(acknowledged) < number:  # noqa: ASYNC110
        await asyncio.sleep(0)


async def test_under_load_no_acknowledged_checkpoint_is_lost(savers: Pair) -> None:
    one, other = savers
    acknowledged: list[tuple[str, str]] = []
    agents = [asyncio.ensure_future(agent(one, f"agent {number}", acknowledged)) for number in range(10)]
    await enough(acknowledged, 50)
    report: MoveReport = await drive_async(the_move(savers).run())
    ends = await asyncio.gather(*agents)
    assert report.done
    assert {end.to for end in ends} == {report.to}
    kept = {(each.config["configurable"]["thread_id"], each.checkpoint["id"]) for each in [found async for found in other.alist(None)]}
    assert set(acknowledged) <= kept
    before, after = await asyncio.to_thread(lambda: (contents(one), contents(other)))
    assert before == after
    assert (await other.averify(deep=True)).ok
    assert report.threads == 13
    # The agents go on there.
    again: list[tuple[str, str]] = []
    task = asyncio.ensure_future(agent(other, "agent 0", again))
    await enough(again, 3)
    task.cancel()


def test_what_it_says_and_what_it_leaves(savers: Pair) -> None:
    one, other = savers
    ref = one.blobs.put(b"not referred to yet").result()
    report = drive(the_move(savers).run())
    assert report.done
    assert len(report.rounds) >= 2
    assert (report.threads, report.checkpoints) == (3, 15)
    assert rows_of(other) == rows_of(one)
    assert other.blobs.get(ref).result() == b"not referred to yet"
    # Once more: everything is there, and somebody has written there since.
    other.put(config("later"), checkpoint({}), metadata(0), {})
    again = drive(the_move(savers).run())
    assert (again.done, again.rounds, again.last, again.threads) == (True, [], TransferReport(), 4)
    with pytest.raises(StoreMoved):
        one.delete_thread("t0")
    assert drive(unseal(one.store))
    one.delete_thread("t0")


def fail_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    calls = iter(range(1_000))
    store = StoreParcel.__call__

    def fail(self: StoreParcel, db: Any) -> None:
        if next(calls) == number:
            raise DatabaseUnavailable("gone", transient=False)
        store(self, db)

    monkeypatch.setattr(StoreParcel, "__call__", fail)


def test_a_round_that_fails_leaves_the_source_unsealed(savers: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = savers
    for number in (0, 1):
        with monkeypatch.context() as patch:
            fail_at(patch, number)
            # By clocks of the same second every thread is looked at again after the seal.
            with pytest.raises(DatabaseUnavailable, match="gone"):
                drive(the_move(savers).run())
        made = checkpoint({"n": number}, {"n": f"{number:08}.y"})
        one.put(config(f"goes on {number}"), made, metadata(0), made["channel_versions"])
    assert drive(the_move(savers).run()).done
    assert contents(other) == contents(one)


def test_a_thread_of_its_own_at_the_target_ends_it_before_the_seal(savers: Pair) -> None:
    one, other = savers
    made = checkpoint({"n": 5}, {"n": "5"})
    other.put(config("t1"), made, metadata(0), {"n": "5"})
    report = drive(the_move(savers).run())
    assert (report.done, report.last.skipped_threads) == (False, ["t1"])
    one.delete_thread("t0")
    other.delete_thread("t1")
    other.put(config("another"), made, metadata(0), {"n": "5"})
    with pytest.raises(CheckpointCorrupt, match="was something else at the target"):
        drive(the_move(savers).run())
    one.delete_thread("t2")


def test_a_stopped_move_goes_on_later(savers: Pair) -> None:
    one, other = savers
    stopped = drive(the_move(savers, TransferCallbacks(should_stop=lambda: True)).run())
    assert (stopped.done, stopped.last.stopped) == (False, True)
    one.delete_thread("t0")
    assert drive(the_move(savers).run()).done
    assert threads_of(other) == ["t1", "t2"]


def test_a_store_that_moved_elsewhere_is_refused(savers: Pair) -> None:
    one, other = savers
    assert drive(the_move(savers).run()).done
    with SQLAlchemySaver.from_conn_string(":memory:") as third, pytest.raises(InvalidConfig, match="has moved to"):
        drive(the_move((one, third)).run())
    assert isinstance(TransferReport().to_dict(), dict)
    assert threads_of(other) == ["t0", "t1", "t2"]


def test_a_deletion_that_died_is_finished_first(savers: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = savers
    monkeypatch.setattr(delete, "_CHECKPOINTS_AT_ONCE", 2)
    begun = one.store.runner.write(partial(delete.delete_thread, thread_id="t1")).result()
    assert isinstance(begun, delete.LargeThread)
    assert drive(the_move(savers).run()).done
    assert threads_of(other) == ["t0", "t2"]
