"""The write queue on a database that the test runs by hand: order, batches, bounds, faults, closing."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest

from ckptstore.db.handle import Db
from ckptstore.db.open import open_database
from ckptstore.db.runner import Work
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.url import parse_database_url
from ckptstore.errors import BlobUnavailable, DatabaseUnavailable, StatementRefused, StoreClosed
from ckptstore.records import NewWrites
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.queue import WriteQueue
from tests.support.attempts import EncodedAttempt, GivenEncoder, new_checkpoint, task_writes


class ManualRunner:
    """A database that a test runs by hand: it notes each batch, and ends it when the test says so."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.under_way: list[tuple[Future[Any], Work[Any]]] = []
        #: Names of writes that make their batch fail.
        self.poison: set[str] = set()
        #: Names of writes that are not stored, and what they miss.
        self.missing: dict[str, MissingParts] = {}
        self.may_wait = False

    def write(self, work: Work[Any]) -> Future[Any]:
        future: Future[Any] = Future()
        self.under_way.append((future, work))
        return future

    def commit(self, _db: Db, batch: Sequence[EncodedWrite]) -> list[MissingParts | None]:
        records = [write.record for write in batch]
        names = [record.task_id if isinstance(record, NewWrites) else record.key.checkpoint_id for record in records]
        if self.poison & set(names):
            raise StatementRefused("bad write")
        self.batches.append(names)
        return [self.missing.get(name) for name in names]

    def finish_one(self) -> None:
        future, work = self.under_way.pop(0)
        try:
            result = work(None)  # type: ignore[arg-type]
        except Exception as exc:
            future.set_exception(exc)
        else:
            future.set_result(result)

    def finish_all(self) -> None:
        while self.under_way:
            self.finish_one()


@pytest.fixture
def runner() -> ManualRunner:
    return ManualRunner()


def queue_on(runner: ManualRunner, max_pending: int = 100, **more: Any) -> WriteQueue:
    return WriteQueue(runner, runner.commit, GivenEncoder(), max_pending, **more)  # type: ignore[arg-type]


def submit(queue: WriteQueue, thread_id: str, name: str, data: bytes = b"") -> Future[None]:
    return queue.submit(EncodedAttempt(thread_id, task_writes(thread_id, name, data)))


def submit_checkpoint(queue: WriteQueue, thread_id: str, name: str) -> Future[None]:
    return queue.submit(EncodedAttempt(thread_id, new_checkpoint(thread_id, name)))


def submit_later(queue: WriteQueue, thread_id: str) -> tuple[Future[None], Future[EncodedWrite]]:
    """Submit a write that is encoded elsewhere; returns its future, and the one to complete with its encoded form."""
    encoding: Future[EncodedWrite] = Future()
    return queue.submit(EncodedAttempt(thread_id, encoding, held_bytes=5_000_000)), encoding


def test_what_waits_while_a_batch_is_under_way_goes_in_together(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    futures = [submit(queue, f"t{n}", str(n)) for n in range(5)]
    runner.finish_all()
    assert runner.batches == [["0"], ["1", "2", "3", "4"]]
    assert [future.result(0) for future in futures] == [None] * 5


# --- lingering


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


# --- order


def test_entries_of_a_thread_commit_in_the_order_in_which_they_were_submitted(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    _, encoding = submit_later(queue, "t")
    submit(queue, "t", "second")
    submit(queue, "u", "other")
    runner.finish_all()
    assert runner.batches == [["other"]]
    encoding.set_result(task_writes("t", "first"))
    runner.finish_all()
    assert runner.batches == [["other"], ["first", "second"]]


def test_a_batch_ends_before_it_grows_too_large(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    submit(queue, "x", "first")
    for n in range(3):
        # Random, or compression would leave nothing of it.
        submit(queue, f"t{n}", str(n), os.urandom(12_000_000))
    submit(queue, "y", "small")
    runner.finish_all()
    assert runner.batches == [["first"], ["0", "small"], ["1"], ["2"]]


def test_a_second_checkpoint_of_a_thread_waits_for_the_first(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    submit(queue, "x", "0")
    for name in ("a", "b"):
        submit_checkpoint(queue, "t", name)
    submit_checkpoint(queue, "u", "c")
    runner.finish_all()
    assert runner.batches == [["0"], ["a", "c"], ["b"]]


def test_work_of_its_own_keeps_its_turn(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    submit(queue, "t", "before")
    done = queue.run(lambda _db: runner.batches.append(["work"]), "t")
    submit(queue, "t", "after")
    submit(queue, "u", "elsewhere")
    runner.finish_all()
    assert done.done()
    order = [name for batch in runner.batches for name in batch]
    assert order.index("before") < order.index("work") < order.index("after")


# --- encoding elsewhere, and again


def test_an_entry_that_is_encoded_elsewhere_holds_back_only_its_own_thread(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    slow, encoding = submit_later(queue, "t")
    submit(queue, "t", "after")
    submit(queue, "u", "other")
    runner.finish_all()
    assert runner.batches == [["other"]]
    encoding.set_result(task_writes("t", "uploaded"))
    runner.finish_all()
    assert runner.batches == [["other"], ["uploaded", "after"]]
    assert slow.result(0) is None


def test_an_upload_that_fails_fails_its_entry_and_frees_the_thread(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    slow, encoding = submit_later(queue, "t")
    after = submit(queue, "t", "after")
    encoding.set_exception(BlobUnavailable("the backend is away"))
    runner.finish_all()
    assert isinstance(slow.exception(0), BlobUnavailable)
    assert after.result(0) is None


def test_an_entry_that_can_not_be_encoded_frees_the_thread_for_those_behind_it(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    encoding, fail = threading.Event(), threading.Event()

    def refuse(_missing: MissingParts | None) -> EncodedWrite:
        encoding.set()
        fail.wait(20)
        raise TypeError("not serialisable")

    futures: list[Future[None]] = []
    caller = threading.Thread(target=lambda: futures.append(queue.submit(EncodedAttempt("t", refuse))))
    caller.start()
    encoding.wait(20)
    after = submit(queue, "t", "after")
    assert runner.under_way == []
    fail.set()
    caller.join(20)
    runner.finish_all()
    assert isinstance(futures[0].exception(0), TypeError)
    assert after.result(0) is None


def test_a_write_that_was_not_stored_is_encoded_again_and_keeps_its_turn(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    missing = MissingParts(segments=("deleted",))
    reasons: list[MissingParts | None] = []

    def encode(reason: MissingParts | None) -> EncodedWrite:
        reasons.append(reason)
        return task_writes("t", "first" if reason is None else "first again")

    runner.missing = {"first": missing}
    submit(queue, "x", "x")
    first = queue.submit(EncodedAttempt("t", encode))
    runner.finish_one()
    after = submit(queue, "t", "after")
    runner.finish_all()
    assert reasons == [None, missing]
    assert runner.batches == [["x"], ["first"], ["first again", "after"]]
    assert first.result(0) is None
    assert after.result(0) is None


def test_a_bad_write_fails_alone(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    runner.poison = {"2"}
    futures = [submit(queue, "t", str(n)) for n in range(5)]
    runner.finish_all()
    assert runner.batches == [["0"], ["1"], ["3"], ["4"]]
    with pytest.raises(StatementRefused):
        futures[2].result(0)
    assert [futures[n].result(0) for n in (0, 1, 3, 4)] == [None] * 4


# --- bounds


def test_nothing_overtakes_what_waits_for_room(runner: ManualRunner) -> None:
    queue = queue_on(runner, max_pending=1)
    for name in ("under way", "queued", "waiting"):
        submit(queue, "t", name)
    runner.finish_one()
    submit(queue, "t", "last")
    runner.finish_all()
    assert [name for batch in runner.batches for name in batch] == ["under way", "queued", "waiting", "last"]


def test_past_the_bound_callers_wait_in_order(runner: ManualRunner) -> None:
    queue = queue_on(runner, max_pending=2)
    encoded: list[str] = []

    def encode(name: str, _missing: MissingParts | None) -> EncodedWrite:
        encoded.append(name)
        return task_writes(name, name)

    futures = [queue.submit(EncodedAttempt(f"t{n}", partial(encode, f"t{n}"))) for n in range(6)]
    # The first one is under way, two are in the queue.
    assert encoded == ["t0", "t1", "t2"]
    assert queue.depth == 5
    runner.finish_all()
    assert encoded == [f"t{n}" for n in range(6)]
    assert [name for batch in runner.batches for name in batch] == encoded
    assert all(future.result(0) is None for future in futures)


def test_the_queue_is_bounded_by_bytes_too(runner: ManualRunner) -> None:
    queue = queue_on(runner, max_held_bytes=10_000_000)
    encoded: list[str] = []

    def encode(name: str, _missing: MissingParts | None) -> EncodedWrite:
        encoded.append(name)
        return task_writes("t", name)

    futures = [queue.submit(EncodedAttempt("t", partial(encode, str(n)), held_bytes=5_000_000)) for n in range(5)]
    assert encoded == ["0", "1"]
    runner.finish_all()
    assert encoded == ["0", "1", "2", "3", "4"]
    assert all(future.result(0) is None for future in futures)


# --- closing


def test_closing_waits_for_what_was_accepted_and_refuses_the_rest(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    future = submit(queue, "t", "last")
    closing = threading.Thread(target=queue.close)
    closing.start()
    while not queue._closed:
        pass
    with pytest.raises(StoreClosed):
        submit(queue, "t", "late")
    assert not future.done()
    runner.finish_all()
    closing.join(20)
    assert future.result(0) is None


def test_closing_waits_for_what_is_encoded_elsewhere(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    slow, encoding = submit_later(queue, "t")
    closing = threading.Thread(target=queue.close)
    closing.start()
    encoding.set_result(task_writes("t", "uploaded"))
    while closing.is_alive():
        runner.finish_all()
    closing.join()
    assert slow.result(0) is None


def test_closing_ends_when_the_last_upload_fails(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    slow, encoding = submit_later(queue, "t")
    closing = threading.Thread(target=queue.close)
    closing.start()
    encoding.set_exception(BlobUnavailable("the backend is away"))
    closing.join(10)
    assert not closing.is_alive()
    assert isinstance(slow.exception(0), BlobUnavailable)


def test_closing_rejects_what_is_not_encoded_yet_and_what_waits_for_room(runner: ManualRunner) -> None:
    queue = queue_on(runner, max_pending=2)
    entered, go_on = threading.Event(), threading.Event()

    def encode(_missing: MissingParts | None) -> EncodedWrite:
        entered.set()
        go_on.wait(20)
        return task_writes("t", "late")

    futures: list[Future[None]] = []
    caller = threading.Thread(target=lambda: futures.append(queue.submit(EncodedAttempt("t", encode))))
    caller.start()
    entered.wait(20)
    # Behind the one that is being encoded, it takes the last room.
    behind = submit(queue, "t", "behind")
    waiting = submit(queue, "v", "waiting")
    closing = threading.Thread(target=queue.close)
    closing.start()
    while closing.is_alive():
        runner.finish_all()
    go_on.set()
    caller.join(20)
    runner.finish_all()
    for future in (futures[0], waiting):
        with pytest.raises(StoreClosed):
            future.result(0)
    assert behind.result(0) is None
    assert runner.batches == [["behind"]]


def test_a_write_that_meets_a_closed_database_fails() -> None:
    runner = open_database(parse_database_url(":memory:"), DatabaseSettings())
    runner.close()
    future = submit(WriteQueue(runner, ManualRunner().commit, GivenEncoder(), 10), "t", "x")  # type: ignore[arg-type]
    with pytest.raises(StoreClosed):
        future.result(0)
