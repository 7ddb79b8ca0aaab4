"""Runs of pruning that are stopped, cancelled, killed or raced at any point: they lose nothing that stays, nor what comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions

from ckptstore import PruneReport, RetentionPolicy, SQLAlchemySaver
from ckptstore.db import sql
from ckptstore.db.runner import Work
from ckptstore.maintenance import prune_thread
from ckptstore.maintenance.prune_plan import CheckpointRef
from ckptstore.runtime.future import Future
from ckptstore.runtime.wakeups import settled
from tests.support.build import chain, checkpoint, config, metadata, put
from tests.support.clocks import Days
from tests.support.faults import reported_statements
from tests.support.remaining import assert_untouched, read_all
from tests.support.rows import Rows

NEWEST_TWO = RetentionPolicy(keep_last=2)


class Killed(BaseException):
    """The process died here: nothing of it runs any more."""


def hook(calls: dict[int, Callable[[], Any]]) -> Callable[[], bool]:
    """Does something before a transaction of a run, by its number; None stops the run there."""
    count = iter(range(1_000_000))

    def should_stop() -> bool:
        act = calls.get(next(count), lambda: False)
        return act() is None

    return should_stop


def stop() -> None:
    return None


async def long_thread(saver: SQLAlchemySaver, length: int) -> dict[CheckpointRef, Any]:
    """A thread that takes several transactions, and a short one."""
    await chain(saver, "long", length)
    await chain(saver, "short", 4)
    return await read_all(saver, "long")


@pytest.fixture
def small_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many transactions for a thread as one ten times as long takes."""
    monkeypatch.setattr(prune_thread, "_CHECKPOINTS_PER_STAGE", 5)


@pytest.mark.usefixtures("small_stages")
async def test_a_run_that_is_stopped_anywhere_leaves_what_reads_as_before(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        readings = await long_thread(saver, 36)
        total, seen = PruneReport(), set()
        for transactions in (0, 1, 1, 2):
            # The first look is before the search, the next ones are before transactions.
            report = await saver.aprune_by(NEWEST_TWO, should_stop=hook({transactions + 1 if transactions else 0: stop}))
            assert report.stopped
            total_lost = total.checkpoints + report.checkpoints
            total = PruneReport(checkpoints=total_lost, values=total.values + report.values, bytes=total.bytes + report.bytes)
            now = await read_all(saver, "long")
            seen.add(len(now))
            assert_untouched(readings, now, set(sorted(readings)[-len(now) :]))
            assert 40 - total_lost == sum(thread.checkpoints for thread in await saver.alist_threads())
            assert (await saver.averify()).ok
        assert len(seen) == 4
        last = await saver.aprune_by(NEWEST_TWO)
        assert (last.stopped, total.checkpoints + last.checkpoints) == (False, 36)
        assert Rows.of(saver).orphans() == {}
        assert len(await saver.alist(None)) == 4


@pytest.mark.usefixtures("small_stages")
async def test_a_run_that_is_cancelled_continues_later(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        readings = await long_thread(saver, 16)
        started: list[Future[Any]] = []
        write = saver.store.runner.write

        def recorded(work: Work[Any], *more: Any) -> Future[Any]:
            started.append(write(work, *more))
            return started[-1]

        def stop(_report: Any) -> None:
            running.cancel()

        running = asyncio.ensure_future(saver.aprune_by(NEWEST_TWO, progress=stop))
        with mock.patch.object(saver.store.runner, "write", recorded):
            with pytest.raises(asyncio.CancelledError):
                await running
            # A transaction that was under way then goes on to its end.
            await asyncio.gather(*map(settled, started))
            await put(saver, config("other"))
        left = await read_all(saver, "long")
        assert 2 < len(left) < 16
        assert_untouched(readings, left, set(left))
        await saver.aprune_by(NEWEST_TWO)
        assert_untouched(readings, await read_all(saver, "long"), set(sorted(readings)[-2:]))
        assert Rows.of(saver).orphans() == {}


@pytest.mark.parametrize("statement", ["DELETE FROM ckpt_checkpoint", "UPDATE ckpt_thread", "DELETE FROM ckpt_segment", "COMMIT"])
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.usefixtures("small_stages")
async def test_a_process_that_dies_midway_leaves_a_whole_thread(lasting_url: str, statement: str, number: int) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        readings = await long_thread(saver, 16)
        hits: list[str] = []

        def die(moment: str, text: str) -> None:
            hits.extend([text] * (moment == "before" and statement in text))
            if len(hits) > number:
                raise Killed

        died = False
        with reported_statements(saver, die):
            try:
                await saver.aprune_by(NEWEST_TWO)
            except Killed:
                died = True
        assert hits
        assert died == (len(hits) > number)
    async with SQLAlchemySaver.from_conn_string(lasting_url) as again:
        left = await read_all(again, "long")
        assert len(left) >= 2
        assert_untouched(readings, left, set(sorted(readings)[-len(left) :]))
        await again.aprune_by(NEWEST_TWO)
        assert_untouched(readings, await read_all(again, "long"), set(sorted(readings)[-2:]))
        assert Rows.of(again).orphans() == {}


def put_now(saver: SQLAlchemySaver, where: RunnableConfig, values: dict[str, Any], carried: dict[str, Any], **kept: str) -> RunnableConfig:
    new: ChannelVersions = dict.fromkeys(values, "0000000900.x")
    made = checkpoint({**values, **carried}, {**new, **kept})
    return saver.put(where, made, metadata(900), new)


@pytest.mark.parametrize("transaction", [1, 3])
@pytest.mark.parametrize("act", ["put", "put_writes", "fork", "stray"])
@pytest.mark.usefixtures("small_stages")
async def test_what_comes_between_decision_and_deed_is_not_lost(url: str, transaction: int, act: str) -> None:
    clock = Days()
    async with SQLAlchemySaver.from_conn_string(url, clock=clock) as saver:
        made = await chain(saver, "t", 26)
        made_by: list[RunnableConfig] = []
        readings = await read_all(saver, "t")

        def between() -> bool:
            if act == "put":
                made_by.append(put_now(saver, made[-1], {"m": "new"}, {"n": 25}, n=f"{26:010}.{'0' * 12}"))
            elif act == "fork":
                # From a checkpoint that is to be pruned, or already was: what it carries over comes along.
                made_by.append(put_now(saver, made[5], {"m": "new"}, {"n": 5}, n=f"{6:010}.{'0' * 12}"))
            else:
                where = made[-1] if act == "put_writes" else config("t", "ffff", "")
                saver.put_writes(where, [("m", "new")], "task")
            return False

        report = await saver.aprune_by(RetentionPolicy(keep_last=2), should_stop=hook({transaction: between}))
        assert not report.stopped
        left = await read_all(saver, "t")
        kept = sorted(readings)[-2:]
        if act in ("put", "fork"):
            found = await saver.aget_tuple(made_by[0])
            assert found is not None
            assert found.checkpoint["channel_values"] == {"m": "new", "n": 25 if act == "put" else 5}
            # A checkpoint that continues a kept one changes nothing in the plan; the next prune counts it too.
            stayed = set(kept[1:] if act == "fork" else kept)
            assert_untouched(readings, {ref: left[ref] for ref in left if ref in readings}, stayed)
            await saver.aprune_by(RetentionPolicy(keep_last=2))
            assert [each.metadata["step"] for each in await saver.alist(config("t"))] == [900, 25]
            assert await saver.aget_tuple(made_by[0]) == found
        else:
            where = made[-1] if act == "put_writes" else put_as(saver, "ffff")
            pending = await saver.aget_tuple(where)
            assert pending is not None
            assert pending.pending_writes == [("task", "m", "new")]
        assert Rows.of(saver).orphans() == {}
        assert (await saver.averify()).ok


def put_as(saver: SQLAlchemySaver, checkpoint_id: str) -> RunnableConfig:
    made = checkpoint({"n": 1}, {"n": "0000000999.x"}, id=checkpoint_id)
    return saver.put(config("t"), made, metadata(), {"n": "0000000999.x"})


async def test_a_kept_checkpoint_that_is_put_again_keeps_the_value_that_it_carries_over(saver: SQLAlchemySaver) -> None:
    saver.clock = Days()
    made = await chain(saver, "t", 3)
    newest = made[-1]["configurable"]["checkpoint_id"]
    looks = iter(range(100))

    def between() -> bool:
        # After the decision: the same checkpoint now carries over a value that only those to be pruned had.
        if next(looks) == 1:
            version = f"{1:010}.{'0' * 12}"
            saver.put(made[1], checkpoint({"n": 0}, {"n": version}, id=newest), metadata(2), {})
        return False

    await saver.aprune_by(RetentionPolicy(keep_last=1), should_stop=between)
    found = await saver.aget_tuple(made[-1])
    assert found is not None
    assert found.checkpoint["channel_values"] == {"n": 0}


async def test_a_young_checkpoint_that_replaces_one_to_be_pruned_is_kept(saver: SQLAlchemySaver) -> None:
    clock = saver.clock = Days()
    made = await chain(saver, "t", 2)
    clock.now += timedelta(seconds=0.6)
    looks = iter(range(100))

    def between() -> bool:
        if next(looks) == 1:
            clock.now += timedelta(seconds=0.3)
            again = checkpoint({"n": 7}, {"n": "7"}, id=made[0]["configurable"]["checkpoint_id"])
            saver.put(config("t"), again, metadata(7), {"n": "7"})
        return False

    await saver.aprune_by(RetentionPolicy(max_age=timedelta(seconds=0.1)), should_stop=between)
    found = await saver.aget_tuple(made[0])
    assert found is not None, "it was stored after the moment that ages count from"
    assert found.checkpoint["channel_values"] == {"n": 7}


async def test_a_long_thread_is_pruned_in_small_transactions_with_writers_in_between(saver: SQLAlchemySaver) -> None:
    await asyncio.gather(*[put(saver, config("long"), {"n": number}, number) for number in range(400)])
    counts: list[int] = []

    def look() -> bool:
        counts.append(sum(row["thread_id"] == "long" for row in Rows.of(saver).tables["ckpt_checkpoint"]))
        put_now(saver, config(f"between {len(counts)}"), {"n": 1}, {})
        return False

    report = await saver.aprune_by(RetentionPolicy(keep_last=1), should_stop=look)
    steps = [before - after for before, after in zip(counts, [*counts[1:], 1], strict=True)]
    assert (report.checkpoints, sum(steps)) == (399, 399)
    assert max(steps) <= 100
    assert len(await saver.alist(None)) == 1 + len(counts)


async def test_a_thread_that_is_written_to_is_planned_once_and_one_without_anything_to_delete_too(saver: SQLAlchemySaver) -> None:
    made = await chain(saver, "long", 330)
    made += [await put(saver, config("unmoved", checkpoint_ns=f"{n}"), {"n": n}, 0, pinned=True) for n in range(3)]
    statements: list[str] = []

    def look() -> bool:
        made.append(put_now(saver, made[329], {"n": 1}, {}))
        return False

    runner = saver.store.runner
    whole_thread = (runner.abilities.statements or runner.statements)[(sql.prune.thread_nodes,)].text
    with (
        mock.patch("ckptstore.maintenance.prune_run._ROWS_PER_PAGE", 1),
        reported_statements(saver, lambda _, text: statements.append(text)),
    ):
        report = await saver.aprune_by(NEWEST_TWO, should_stop=look)
        # Each of the two threads once; `reported_statements` reports before and after.
        assert (report.checkpoints, statements.count(whole_thread) // 2) == (329, 2)
        await saver.aprune_by(RetentionPolicy(max_age=timedelta(0), keep_tags=[{"pinned": True}, {"step": {"$gte": 0}}]))
    assert statements.count(whole_thread) // 2 == 2 + 2
    assert len(await saver.alist(config("long"))) == 1 + len(made) - 333


async def test_two_runs_at_once_share_the_work(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as one, SQLAlchemySaver.from_conn_string(lasting_url) as other:
        readings = await long_thread(one, 330)
        await asyncio.gather(*[chain(one, f"t{number}", 5) for number in range(20)])
        reports = await asyncio.gather(one.aprune_by(NEWEST_TWO), other.aprune_by(NEWEST_TWO))
        assert sum(report.checkpoints for report in reports) == 328 + 2 + 20 * 3
        assert [report.stopped for report in reports] == [False, False]
        assert_untouched(readings, await read_all(other, "long"), set(sorted(readings)[-2:]))
        assert {thread.checkpoints for thread in await other.alist_threads()} == {2}
        assert Rows.of(one).orphans() == {}
