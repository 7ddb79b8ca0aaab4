"""How long a batch lingers for the callers of the last one."""

from __future__ import annotations

import threading

import pytest

from ckptstore.errors import DatabaseUnavailable
from ckptstore.writes.queue import WriteQueue
from tests.support.write_queue import ManualRunner, queue_on, submit, submit_checkpoint


def lingering_queue_on(runner: ManualRunner, monkeypatch: pytest.MonkeyPatch, seconds: float) -> WriteQueue:
    """A queue whose batches linger for so long."""
    monkeypatch.setattr("ckptstore.writes.linger._LINGER_RATIO", 1e9)
    monkeypatch.setattr("ckptstore.writes.linger._MAX_LINGER_SECONDS", seconds)
    runner.may_wait = True
    return queue_on(runner)


def test_a_batch_lingers_for_those_whose_writes_the_last_one_stored(runner: ManualRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = lingering_queue_on(runner, monkeypatch, 30)
    for name in "abc":
        submit(queue, name, name)
    runner.finish_one()
    assert runner.batches == [["a", "b", "c"]]
    submit(queue, "a", "a again")
    running = threading.Thread(target=runner.finish_one)
    running.start()
    submit(queue, "b", "b again")
    assert running.is_alive()
    last = submit(queue, "c", "c again")
    running.join(20)
    assert last.done()
    assert runner.batches[1:] == [["a again", "b again", "c again"]]


def test_a_batch_goes_without_those_that_do_not_come_back(runner: ManualRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = lingering_queue_on(runner, monkeypatch, 0.001)
    for name in "ab":
        submit(queue, name, name)
    runner.finish_one()
    submit(queue, "a", "a again")
    runner.finish_one()
    assert runner.batches[1:] == [["a again"]]


def test_many_callers_alternate_in_two_groups(runner: ManualRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = lingering_queue_on(runner, monkeypatch, 30)
    names = [f"t{number}" for number in range(8)]
    for turn in range(2):
        for name in names:
            submit(queue, name, f"{name} {turn}")
        runner.finish_all()
    assert [len(batch) for batch in runner.batches] == [8, 4, 4]
    # The first group is back before the second one's futures are done.
    for name in names[:4]:
        submit(queue, name, f"{name} 2")
    runner.finish_one()
    assert [len(batch) for batch in runner.batches[3:]] == [4]


def test_nothing_joins_a_batch_that_failed_before_it_ran(runner: ManualRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = lingering_queue_on(runner, monkeypatch, 30)
    failing = submit(queue, "a", "failing")
    runner.under_way.pop(0)[0].set_exception(DatabaseUnavailable("the database is away"))
    assert isinstance(failing.exception(0), DatabaseUnavailable)
    after = submit(queue, "b", "after")
    runner.finish_all()
    assert after.result(0) is None
    assert runner.batches == [["after"]]


def test_a_lone_write_waits_for_nobody(runner: ManualRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = lingering_queue_on(runner, monkeypatch, 1e6)
    for name in ("first", "second", "third"):
        submit(queue, "t", name)
        runner.finish_one()
    assert runner.batches == [["first"], ["second"], ["third"]]


def test_what_joins_a_batch_late_keeps_the_order_of_its_thread(runner: ManualRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = lingering_queue_on(runner, monkeypatch, 0)
    submit_checkpoint(queue, "t", "c1")
    submit(queue, "t", "after c1")
    submit(queue, "u", "elsewhere")
    done = queue.run(lambda _db: None, "v")
    runner.finish_one()
    assert runner.batches == [["c1", "elsewhere"]]
    runner.finish_all()
    assert done.done()
    assert runner.batches == [["c1", "elsewhere"], ["after c1"]]
