"""Odd runs of pruning: long chains, lost answers, other clocks, ages of zero."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ckptstore import PruneReport, RetentionPolicy, SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.db.times import to_microseconds
from ckptstore.langgraph.base import utc_now
from ckptstore.maintenance import prune_run as pruner
from ckptstore.maintenance.gc_pass import GcPass
from ckptstore.maintenance.reports import CollectReport
from ckptstore.runtime.steps import Steps
from tests.support.background import recorded_events, retention_of
from tests.support.build import chain, config
from tests.support.clocks import Days
from tests.support.faults import reported_statements, transient_fault
from tests.support.rows import Rows


async def test_progress_reports_each_transaction_of_a_long_thread(saver: SQLAlchemySaver) -> None:
    await chain(saver, "t", 300)
    told: list[int] = []
    there: list[int] = []

    def progress(report: PruneReport) -> None:
        told.append(300 - report.checkpoints)
        there.append(len(Rows.of(saver).tables["ckpt_checkpoint"]))

    await saver.aprune_by(RetentionPolicy(keep_last=1), progress=progress)
    assert told == there


@pytest.mark.parametrize("with_checkpoint", [True, False])
async def test_an_idle_thread_is_deleted_whole_with_writes_that_are_younger_than_another_age(
    saver: SQLAlchemySaver, with_checkpoint: bool
) -> None:
    clock = saver.clock = Days()
    if with_checkpoint:
        await chain(saver, "t", 2)
    await saver.aput_writes(config("t", "ffff"), [("x", 1)], "task")
    clock.go_to(5)
    await saver.aprune_by(RetentionPolicy(max_age=timedelta(days=30), thread_ttl=timedelta(days=1)))
    assert await saver.alist_threads() == []


async def test_a_run_that_was_stopped_decides_nothing_more(saver: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(120):
        await chain(saver, f"t{number}", 2)
    decided: list[int] = []
    decide = pruner.plan_tasks  # type: ignore[attr-defined]  # where it is used, to be replaced there

    def counting(*args: Any, **more: Any) -> Any:
        decided.append(1)
        return decide(*args, **more)

    monkeypatch.setattr(pruner, "plan_tasks", counting)
    looks = iter(range(1_000))
    report = await saver.aprune_by(RetentionPolicy(keep_last=1), should_stop=lambda: next(looks) >= 1)
    assert report.stopped
    assert len(decided) == 1


async def test_a_commit_whose_answer_was_lost_is_in_the_report(tmp_path: Path) -> None:
    async with SQLAlchemySaver.from_conn_string(tmp_path / "c.sqlite") as saver:
        await chain(saver, "t", 5)
        commits: list[str] = []

        def lose(moment: str, statement: str) -> None:
            commits.extend([statement] * (moment == "after" and statement == "COMMIT"))
            # The first one ends the look at the thread, the second one the deed.
            if moment == "after" and statement == "COMMIT" and len(commits) == 2:
                raise transient_fault(saver)

        with reported_statements(saver, lose):
            assert (await saver.aprune_by(RetentionPolicy(keep_last=1))).checkpoints == 4


# --- by itself


async def test_an_error_that_is_not_ours_does_not_end_the_schedule(tmp_path: Path) -> None:
    calls = iter(range(1_000_000))

    def clock() -> Any:
        if next(calls) == 0:
            raise OSError("no time server")
        return Days()()

    raised: list[Any] = []
    before, threading.excepthook = threading.excepthook, raised.append
    try:
        with recorded_events("pruned") as pruned:
            saver = SQLAlchemySaver.from_conn_string(
                tmp_path / "c.sqlite", clock=clock, retention=RetentionPolicy(keep_last=1), retention_interval=timedelta(milliseconds=20)
            )
            assert saver._retention is not None
            thread = saver._retention._thread
            while thread.is_alive() and not pruned.came.is_set():
                pruned.came.wait(0.01)
            came = pruned.came.is_set()
            saver.close()
    finally:
        threading.excepthook = before
    assert (came, raised) == (True, [])


def waits_of(retention: Any) -> list[float]:
    """How long its thread waits, before its first run and after."""
    waits: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            waits.append(timeout)
            return len(waits) > 1

    retention._stop = Stop()
    retention._loop()
    return waits


async def test_a_long_interval_can_be_waited_for(tmp_path: Path) -> None:
    async with SQLAlchemySaver.from_conn_string(tmp_path / "c.sqlite") as saver:
        assert waits_of(retention_of(saver, Days(), timedelta(days=365 * 1_000)))[1] <= threading.TIMEOUT_MAX


async def test_an_interval_counts_from_the_beginning_of_a_run(tmp_path: Path) -> None:
    clock = Days()
    async with SQLAlchemySaver.from_conn_string(tmp_path / "c.sqlite", clock=clock) as saver:
        await chain(saver, "t", 3)
        schedule = retention_of(saver, clock)
        ask = schedule._should_stop
        schedule._should_stop = lambda: bool(clock.go_to(0.5 / 24)) or ask()  # type: ignore[method-assign,func-returns-value]
        assert waits_of(schedule) == [0.0, 1_800.0]


async def test_nobody_else_runs_while_objects_are_collected(lasting_url: str) -> None:
    clock = Days()
    async with SQLAlchemySaver.from_conn_string(lasting_url) as one, SQLAlchemySaver.from_conn_string(lasting_url) as other:
        await chain(one, "t", 3)
        mine, theirs = retention_of(one, clock), retention_of(other, clock)
        collect, turns = one.store.collect, []

        def slow(gc_pass: GcPass) -> Steps[CollectReport]:
            # Minutes go by, with many objects in a remote backend.
            for _ in range(4):
                clock.now += timedelta(minutes=2)
                yield one.store.runner.read(lambda _: None)
                turns.append(theirs._acquire(to_microseconds(clock.now)).is_held)
            return (yield from collect(gc_pass))

        one.store.collect = slow  # type: ignore[method-assign]
        assert mine.run_if_due()[0].is_held
        assert turns == [False] * 4


# --- commands


@pytest.mark.parametrize(
    ("options", "code", "left"),
    [
        (["--older-than", "0d"], 0, 0),
        (["--older-than", "30d", "--idle-for", "0s"], 0, 0),
        (["--policy", "policy.toml", "--older-than", "0d"], 2, 3),
    ],
)
async def test_an_age_of_zero_is_an_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], code: int, left: int) -> None:
    monkeypatch.chdir(tmp_path)
    Path("policy.toml").write_text("keep_last = 1")  # noqa: ASYNC240
    an_hour_ago = utc_now() - timedelta(hours=1)
    async with SQLAlchemySaver.from_conn_string("c.sqlite", clock=lambda: an_hour_ago) as saver:
        await chain(saver, "t", 3)
    done = CliRunner().invoke(main, ["prune", "--url", "c.sqlite", *options])
    assert done.exit_code == code, done.output
    async with SQLAlchemySaver.from_conn_string("c.sqlite") as saver:
        assert len(await saver.alist(None)) == left
