"""Threads that other transactions have locked: which writes wait for them, in which order, and for how long."""

from __future__ import annotations

import pytest

from ckptstore.db.settings import DatabaseSettings
from ckptstore.errors import DatabaseUnavailable
from ckptstore.runtime.future import Future
from ckptstore.writes.batch import LOCK_SECONDS, Batch
from ckptstore.writes.entry import QueueEntry, State
from ckptstore.writes.locked_threads import LockedThreads, ThreadLocked
from tests.support.write_queue import ManualRunner, queue_on, submit

RETRY_SECONDS = 10.0


def locked(*threads: str, max_batches: int = 4, retry_seconds: float = RETRY_SECONDS) -> LockedThreads:
    """These threads are known to be locked, in the order in which they were tried."""
    known = LockedThreads(max_batches, retry_seconds)
    for thread in threads:
        known.ended(batch_of(thread), ThreadLocked())
    return known


def entry_of(*threads: str, work: bool = False) -> QueueEntry:
    entry = QueueEntry(threads, None, print if work else None)
    entry.state, entry.waiting_since = State.READY, 1.0
    return entry


def batch_of(*threads: str, work: bool = False) -> Batch:
    batch = Batch()
    batch.entries, batch.started_at = [entry_of(*threads, work=work)], 1.0
    return batch


def test_one_write_of_a_locked_thread_comes_first_that_was_tried_longest_ago() -> None:
    newer, older, behind, other = entry_of("b"), entry_of("a"), entry_of("a"), entry_of("c")
    assert locked("a", "b").arrange([newer, older, behind, other], []) == [older, other]
    assert older.alone
    assert not other.alone


def test_some_batches_never_wait() -> None:
    first, other = entry_of("a"), entry_of("c")
    known = locked("a", "x", "y")
    assert known.arrange([first, other], [batch_of("x")]) == [first, other]
    assert known.arrange([first, other], [batch_of("x"), batch_of("y")]) == [other]
    # Work waits for as long as the server lets it.
    assert known.arrange([first, other], [batch_of("x"), batch_of("z", work=True)]) == [other]
    assert known.arrange([entry_of("d", work=True), other], [batch_of("x"), batch_of("y")]) == [other]


def test_the_order_within_a_thread_is_kept() -> None:
    before, work, after = entry_of("t"), entry_of("t", "u", work=True), entry_of("u")
    assert locked().arrange([before, work, after], [batch_of("x")]) == [before]
    assert locked().arrange([work, after], [batch_of("x")]) == [work]
    under_way, behind = entry_of("a"), entry_of("a")
    under_way.state = State.UNDER_WAY
    assert locked("a").arrange([under_way, behind], []) == []


def test_on_a_single_connection_others_have_their_turn() -> None:
    first, other = entry_of("a"), entry_of("c")
    known = locked("a", max_batches=1)
    assert known.arrange([first, other], []) == [other]
    assert known.arrange([first], []) == [first]
    assert known.lock_seconds(batch_of("a")) == LOCK_SECONDS


def test_a_thread_that_is_stored_is_not_locked_any_more() -> None:
    known = locked("a", "b")
    known.ended(batch_of("a"), None)
    known.ended(batch_of("b"), ValueError("refused"))
    assert not known.since
    several = batch_of("a")
    several.entries.append(entry_of("b"))
    known.ended(several, ThreadLocked())
    assert not known.since


def test_the_time_until_the_error_counts_from_the_first_attempt() -> None:
    known = locked("a", retry_seconds=0)
    error = known.why_in_vain(entry_of("a"))
    assert isinstance(error, DatabaseUnavailable)
    assert "thread 'a'" in str(error)
    assert known.why_in_vain(entry_of("b")) is None
    assert locked("a", retry_seconds=1e9).why_in_vain(entry_of("a")) is None


def test_an_attempt_for_a_locked_thread_waits_longer_but_not_past_its_time() -> None:
    assert locked("a", retry_seconds=1e9).lock_seconds(batch_of("a")) > LOCK_SECONDS
    assert locked("a", retry_seconds=0).lock_seconds(batch_of("a")) == LOCK_SECONDS
    assert locked("a").lock_seconds(batch_of("b")) == LOCK_SECONDS


# --- in the queue


@pytest.fixture
def postgres() -> ManualRunner:
    runner = ManualRunner()
    runner.max_batches = 4
    return runner


def end_first(runner: ManualRunner, exc: BaseException | None = None) -> None:
    future, work = runner.under_way.pop(0)
    if exc is None:
        future.set_result(work(None))  # type: ignore[arg-type]
    else:
        future.set_exception(exc)


def test_more_locked_threads_than_connections_stop_no_others(postgres: ManualRunner) -> None:
    queue = queue_on(postgres)
    # The first is alone in its batch, and the others are found when each is stored alone.
    waiting = [submit(queue, f"locked {n}", str(n)) for n in range(8)]
    while len(postgres.under_way) != 2 or not all(entry.alone for entry in queue._pending.in_order()):
        end_first(postgres, ThreadLocked())
    for number in range(3):
        other = submit(queue, f"other {number}", "other")
        future, work = postgres.under_way.pop()
        future.set_result(work(None))  # type: ignore[arg-type]
        assert other.done()
    assert postgres.batches == [["other"]] * 3
    # They are tried in turns, and stored as soon as they can be.
    postgres.finish_all()
    assert all(future.result(0) is None for future in waiting)


def test_a_thread_that_stays_locked_gives_its_callers_an_error(postgres: ManualRunner) -> None:
    queue = queue_on(postgres, settings=DatabaseSettings(retry_seconds=0))
    first, behind = submit(queue, "t", "first"), submit(queue, "t", "behind")
    end_first(postgres, ThreadLocked())
    for future in (first, behind):
        with pytest.raises(DatabaseUnavailable, match="row of thread 't'"):
            future.result(0)
    assert not postgres.under_way


def test_a_caller_that_gave_up_is_not_served_when_the_lock_is_gone(postgres: ManualRunner) -> None:
    queue = queue_on(postgres)
    future: Future[None] = submit(queue, "t", "abandoned")
    queue.abandon(future)
    after = submit(queue, "t", "after")
    end_first(postgres, ThreadLocked())
    postgres.finish_all()
    assert after.result(0) is None
    assert postgres.batches == [["after"]]
