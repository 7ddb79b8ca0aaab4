"""Pruning by itself: once an interval over all savers on a database, whatever dies, fails or is closed meanwhile."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ckptstore import DatabaseSettings, SQLAlchemySaver
from ckptstore.db.times import to_microseconds
from ckptstore.errors import DatabaseUnavailable, InvalidPolicy
from tests.support.background import HOUR, NEWEST, recorded_events, retention_of
from tests.support.build import chain, config
from tests.support.clocks import START_OF_TIME, Days
from tests.support.faults import fault, reported_statements, transient_fault
from tests.support.rows import Rows

WAIT_SECONDS = 50


def noted(saver: SQLAlchemySaver) -> dict[str, Any]:
    found = [row["value"] for row in Rows.of(saver).tables["ckpt_setting"] if row["name"] == "retention"]
    return json.loads(found[0]) if found and isinstance(found[0], str) else dict(found[0]) if found else {}


def at(hours: float) -> int:
    return to_microseconds(START_OF_TIME + hours * HOUR)


async def test_a_saver_prunes_by_itself_as_soon_as_it_is_opened(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as before:
        await chain(before, "t", 5)
    with recorded_events("pruned") as pruned:
        async with SQLAlchemySaver.from_conn_string(lasting_url, retention=NEWEST, retention_interval=timedelta(days=1)) as saver:
            assert await asyncio.to_thread(pruned.came.wait, WAIT_SECONDS)
            assert [found.metadata["step"] for found in await saver.alist(config("t"))] == [4]
        assert "ckptstore-retention" not in [thread.name for thread in threading.enumerate()]
    assert [record["checkpoints"] for record in pruned.records] == [4]
    with recorded_events("pruned") as pruned:
        async with SQLAlchemySaver.from_conn_string(lasting_url, retention=NEWEST) as saver:
            # Another had its run within the interval: what comes in waits for the next.
            await chain(saver, "u", 3)
            lease, report = retention_of(saver, saver.clock).run_if_due()
            assert (lease.is_held, report) == (False, None)
            assert 0 < lease.retry_after <= HOUR / timedelta(microseconds=1)
        assert pruned.records == []


async def test_one_of_two_savers_runs_in_an_interval(lasting_url: str) -> None:
    clock = Days()
    async with SQLAlchemySaver.from_conn_string(lasting_url) as one, SQLAlchemySaver.from_conn_string(lasting_url) as other:
        mine, theirs = retention_of(one, clock), retention_of(other, clock)
        ran = []
        for minute in range(0, 181, 15):
            clock.go_to(minute / 24 / 60)
            await chain(one, f"t{minute}", 2)
            for name, schedule in (("other", theirs), ("one", mine)) if minute % 2 else (("one", mine), ("other", theirs)):
                lease, report = schedule.run_if_due()
                if lease.is_held:
                    assert report is not None
                    ran.append((name, minute, report.checkpoints))
                else:
                    assert lease.retry_after == (60 - minute % 60) * 60 * 1_000_000
        assert ran == [("one", 0, 1), ("one", 60, 4), ("one", 120, 4), ("one", 180, 4)]
        assert noted(one) == {"ran_at": at(3)}


async def test_the_lease_of_a_process_that_died_expires(lasting_url: str) -> None:
    clock = Days()
    async with SQLAlchemySaver.from_conn_string(lasting_url) as dead, SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await chain(dead, "t", 3)
        assert retention_of(dead, clock)._acquire(at(0)).is_held
        mine = retention_of(saver, clock)
        # Four heartbeats, whatever the interval.
        for seconds, runs in ((0, False), (39, False), (41, True)):
            clock.go_to(seconds / 24 / 3600)
            lease, report = mine.run_if_due()
            assert (lease.is_held, report is not None) == (runs, runs)
            if not runs:
                assert lease.retry_after == (40 - seconds) * 1_000_000
        assert len(await saver.alist(config("t"))) == 1


async def test_a_run_renews_its_lease_and_ends_when_it_has_lost_it(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as slow, SQLAlchemySaver.from_conn_string(lasting_url) as other:
        await chain(slow, "t", 350)
        clock = Days()
        mine, theirs = retention_of(slow, clock), retention_of(other, clock)
        looks = iter(range(1_000))
        ask = mine._should_stop
        taken: list[bool] = []

        def should_stop() -> bool:
            # Each transaction takes half of the lease; before the fourth the machine sleeps for a minute.
            number = next(looks)
            clock.now += timedelta(seconds=60 if number == 3 else 20)
            taken.append(theirs._acquire(to_microseconds(clock.now)).is_held)
            return ask()

        mine._should_stop = should_stop  # type: ignore[method-assign]
        with (
            recorded_events("lease_acquired") as acquired,
            recorded_events("lease_lost") as lost,
            recorded_events("lease_released") as gone,
        ):
            _turn, report = mine.run_if_due()
        assert [record["holder"] for record in (*acquired.records, *lost.records)] == [mine._holder] * 2
        assert gone.records == [], "it releases nothing that it no longer has"
        assert taken == [False, False, False, True]
        assert report is not None
        assert report.stopped
        assert report.checkpoints == 100
        assert noted(slow)["holder"] == theirs._holder, "it releases nothing that it no longer has"
        with recorded_events("lease_released") as gone:
            _turn, report = theirs.run_if_due()
        assert [(record["holder"], record["completed"]) for record in gone.records] == [(theirs._holder, True)]
        assert report is not None
        assert (report.checkpoints, report.stopped) == (249, False)
        assert set(noted(slow)) == {"ran_at"}


@pytest.mark.parametrize("statement", ["DELETE FROM ckpt_checkpoint", "UPDATE ckpt_thread"])
async def test_a_run_that_fails_gives_its_turn_back(lasting_url: str, statement: str) -> None:
    clock = Days()
    quick = DatabaseSettings(retry_seconds=0.05)
    async with (
        SQLAlchemySaver.from_conn_string(lasting_url, settings=quick) as saver,
        SQLAlchemySaver.from_conn_string(lasting_url) as other,
    ):
        await chain(saver, "t", 3)
        with fault(saver, "before", statement, transient_fault(saver), times=10_000), pytest.raises(DatabaseUnavailable):
            retention_of(saver, clock).run_if_due()
        assert noted(saver) == {}
        lease, report = retention_of(other, clock).run_if_due()
        assert lease.is_held
        assert report is not None
        assert report.checkpoints == 2


async def test_a_failure_is_logged_and_tried_again(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as before:
        await chain(before, "t", 3)
    with recorded_events("retention_failed") as failed, recorded_events("pruned") as pruned:
        settings = DatabaseSettings(retry_seconds=0.02)
        saver = SQLAlchemySaver.from_conn_string(lasting_url, settings=settings)
        with fault(saver, "before", "DELETE FROM ckpt_checkpoint", transient_fault(saver), times=10_000):
            saver._retention = saver._start_retention(NEWEST, timedelta(milliseconds=50))
            assert await asyncio.to_thread(failed.came.wait, WAIT_SECONDS)
        assert await asyncio.to_thread(pruned.came.wait, WAIT_SECONDS)
        await saver.aclose()
    assert (failed.records[0]["levelname"], failed.records[0]["exc_info"][0]) == ("ERROR", DatabaseUnavailable)
    assert sum(record["checkpoints"] for record in pruned.records) == 2


async def test_closing_ends_a_run_after_the_transaction_that_is_under_way(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as before:
        await chain(before, "t", 350)
    saver = SQLAlchemySaver.from_conn_string(lasting_url)
    reached, closing = threading.Event(), threading.Event()

    def hold(moment: str, statement: str) -> None:
        if moment == "before" and statement.startswith("DELETE FROM ckpt_checkpoint") and not reached.is_set():
            reached.set()
            assert closing.wait(WAIT_SECONDS)

    with recorded_events("pruned") as pruned, reported_statements(saver, hold):
        saver._retention = saver._start_retention(NEWEST, HOUR)
        assert await asyncio.to_thread(reached.wait, WAIT_SECONDS)
        assert saver._retention is not None
        saver._retention._stop.set()
        closing.set()
        await saver.aclose()
        await saver.aclose()
    assert [(record["checkpoints"], record["stopped"]) for record in pruned.records] == [(50, True)]
    async with SQLAlchemySaver.from_conn_string(lasting_url) as after:
        assert len(await after.alist(config("t"))) == 300
        # It was not whole: the next one need not wait for the interval.
        assert noted(after) == {}


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*")
async def test_a_child_of_a_fork_prunes_by_itself_too(lasting_url: str) -> None:
    interval = timedelta(milliseconds=20)
    saver = SQLAlchemySaver.from_conn_string(lasting_url, retention=NEWEST, retention_interval=interval)
    await saver.aput_writes(config("t", "never"), [("x", 1)], "task")

    def child() -> None:
        with recorded_events("pruned") as pruned:
            came = pruned.came.wait(WAIT_SECONDS)
            assert saver._retention is not None
            saver._retention.close(WAIT_SECONDS)
            os._exit(0 if came else 3)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    await asyncio.to_thread(process.join)
    assert process.exitcode == 0
    await saver.aclose()


@pytest.mark.parametrize("interval", [timedelta(0), timedelta(seconds=-1)])
def test_an_interval_that_is_none_is_refused(tmp_path: Path, interval: timedelta) -> None:
    with pytest.raises(InvalidPolicy, match="retention_interval must be a positive timedelta"):
        SQLAlchemySaver.from_conn_string(tmp_path / "c.sqlite", retention=NEWEST, retention_interval=interval)
    assert "ckptstore-retention" not in [thread.name for thread in threading.enumerate()]
