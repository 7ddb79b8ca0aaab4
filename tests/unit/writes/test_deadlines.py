"""The time until an error: from the call, or from the database's last answer, for the first write and for those behind it."""

from __future__ import annotations

import pytest

from ckptstore.db.settings import DatabaseSettings
from ckptstore.errors import DatabaseUnavailable, StatementRefused, StoreClosed
from ckptstore.writes.deadlines import Deadlines
from ckptstore.writes.entry import QueueEntry
from ckptstore.writes.queue import WriteQueue
from tests.support.attempts import GivenEncoder
from tests.support.write_queue import ManualRunner, submit, submit_later

RETRY_SECONDS = 10.0


class Clock:
    """The monotonic clock, as a test sets it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in ("pending", "deadlines", "committer", "entry"):
        monkeypatch.setattr(f"ckptstore.writes.{module}.monotonic", clock)
    return clock


@pytest.fixture
def queue(runner: ManualRunner, clock: Clock) -> WriteQueue:
    settings = DatabaseSettings(retry_seconds=RETRY_SECONDS)
    return WriteQueue(runner, runner.commit, GivenEncoder(), settings)  # type: ignore[arg-type]


def fail_one(runner: ManualRunner, *, transient: bool = True) -> None:
    future, _ = runner.under_way.pop(0)
    future.set_exception(DatabaseUnavailable("locked", transient=transient))


def deadline_of_last(runner: ManualRunner) -> float:
    deadline = runner.deadlines[-1]
    assert deadline is not None
    return deadline()


def test_writes_behind_one_that_fails_have_no_more_time_than_it_had(runner: ManualRunner, queue: WriteQueue, clock: Clock) -> None:
    first = submit(queue, "t", "first")
    assert deadline_of_last(runner) == clock.now + RETRY_SECONDS
    behind = [submit(queue, "t", f"behind {n}") for n in range(3)]
    clock.now += 4
    later = submit(queue, "u", "later")
    clock.now += 6
    fail_one(runner)
    assert isinstance(first.exception(0), DatabaseUnavailable)
    assert all(isinstance(future.exception(0), DatabaseUnavailable) for future in behind)
    # It has waited for six seconds: four are left.
    assert not later.done()
    assert deadline_of_last(runner) == clock.now + 4
    clock.now += 4
    fail_one(runner)
    assert isinstance(later.exception(0), DatabaseUnavailable)
    assert runner.batches == []


def test_what_waits_behind_others_that_succeed_keeps_its_time(runner: ManualRunner, queue: WriteQueue, clock: Clock) -> None:
    submit(queue, "t", "slow")
    behind = submit(queue, "t", "behind")
    clock.now += 60
    runner.finish_one()
    assert deadline_of_last(runner) == clock.now + RETRY_SECONDS
    clock.now += 60
    runner.finish_one()
    assert behind.result(0) is None


def test_a_refusal_is_an_answer_too(runner: ManualRunner, queue: WriteQueue, clock: Clock) -> None:
    runner.poison = {"bad"}
    bad = submit(queue, "t", "bad")
    behind = submit(queue, "u", "behind")
    clock.now += 60
    runner.finish_one()
    assert isinstance(bad.exception(0), StatementRefused)
    assert deadline_of_last(runner) == clock.now + RETRY_SECONDS
    runner.finish_all()
    assert behind.result(0) is None


def test_the_time_of_an_upload_does_not_count(runner: ManualRunner, queue: WriteQueue, clock: Clock) -> None:
    from tests.support.attempts import task_writes

    _, encoding = submit_later(queue, "t")
    clock.now += 60
    encoding.set_result(task_writes("t", "uploaded"))
    assert deadline_of_last(runner) == clock.now + RETRY_SECONDS


def test_the_members_of_a_batch_that_have_time_left_are_tried_again(runner: ManualRunner, queue: WriteQueue, clock: Clock) -> None:
    submit(queue, "x", "x")
    early = submit(queue, "t", "early")
    clock.now += 5
    late = submit(queue, "u", "late")
    fail_one(runner, transient=False)
    clock.now += 5
    assert deadline_of_last(runner) == clock.now
    fail_one(runner)
    assert isinstance(early.exception(0), DatabaseUnavailable)
    assert not late.done()
    runner.finish_all()
    assert late.result(0) is None


def test_a_fault_that_is_not_repeated_fails_its_batch_at_once(runner: ManualRunner, queue: WriteQueue) -> None:
    future = submit(queue, "t", "a")
    fail_one(runner, transient=False)
    assert isinstance(future.exception(0), DatabaseUnavailable)
    never_reached = submit(queue, "t", "b")
    fail_one(runner)
    assert isinstance(never_reached.exception(0), DatabaseUnavailable)


def test_a_write_after_a_fault_is_tried_however_short_its_time(runner: ManualRunner, clock: Clock) -> None:
    queue = WriteQueue(runner, runner.commit, GivenEncoder(), DatabaseSettings(retry_seconds=0))  # type: ignore[arg-type]
    first, behind = submit(queue, "t", "first"), submit(queue, "t", "behind")
    clock.now += 1
    fail_one(runner)
    assert isinstance(first.exception(0), DatabaseUnavailable)
    assert isinstance(behind.exception(0), DatabaseUnavailable)
    clock.now += 1
    after = submit(queue, "t", "after")
    clock.now += 1
    runner.finish_one()
    assert after.result(0) is None


def test_closing_ends_at_its_bound_when_the_database_never_answers(runner: ManualRunner) -> None:
    queue = WriteQueue(runner, runner.commit, GivenEncoder(), DatabaseSettings())  # type: ignore[arg-type]
    under_way, behind = submit(queue, "t", "a"), submit(queue, "t", "b")
    uploading, encoding = submit_later(queue, "u")
    queue.close(0.01)
    with pytest.raises(StoreClosed, match=r"not done within 0\.01 s: whether it was stored is unknown"):
        under_way.result(0)
    for future in (behind, uploading):
        with pytest.raises(StoreClosed, match="it was not stored"):
            future.result(0)
    # What comes too late harms nothing.
    runner.finish_all()
    encoding.set_exception(TimeoutError())
    assert runner.batches == [["a"]]


def test_a_write_that_waits_while_the_database_answers_shows_that_there_are_several_callers(clock: Clock) -> None:
    deadlines, entry = Deadlines(RETRY_SECONDS), QueueEntry(("t",), None, None)
    entry.waiting_since = clock.now
    assert not deadlines.answered_since(entry)
    clock.now += 1
    deadlines.answered()
    assert deadlines.answered_since(entry)
    entry.waiting_since = clock.now
    assert not deadlines.answered_since(entry)
