"""The write queue on a database that the test runs by hand: order, batches, bounds, faults, closing."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from unittest import mock

import pytest

from ckptstore.db.open import open_database
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.url import parse_database_url
from ckptstore.errors import BlobUnavailable, StatementRefused, StoreClosed
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.queue import WriteQueue
from tests.support.attempts import EncodedAttempt, GivenEncoder, task_writes
from tests.support.write_queue import LateEncoding, ManualRunner, queue_on, submit, submit_checkpoint, submit_later


def test_what_waits_while_a_batch_is_under_way_is_stored_together(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    futures = [submit(queue, f"t{n}", str(n)) for n in range(5)]
    runner.finish_all()
    assert runner.batches == [["0"], ["1", "2", "3", "4"]]
    assert [future.result(0) for future in futures] == [None] * 5


def test_a_runner_that_fails_to_start_a_batch_fails_it_and_nothing_else(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    with mock.patch.object(runner, "write", side_effect=TypeError("no such parameter")):
        failed = submit(queue, "t", "a")
    with pytest.raises(TypeError, match="no such parameter"):
        failed.result(0)
    stored = submit(queue, "t", "b")
    runner.finish_all()
    assert stored.result(0) is None
    assert runner.batches == [["b"]]


# --- order


def test_an_entry_that_is_encoded_elsewhere_holds_back_only_its_own_thread_whose_order_is_kept(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    slow, encoding = submit_later(queue, "t")
    submit(queue, "t", "second")
    submit(queue, "u", "other")
    runner.finish_all()
    assert runner.batches == [["other"]]
    encoding.set_result(task_writes("t", "first"))
    runner.finish_all()
    assert runner.batches == [["other"], ["first", "second"]]
    assert slow.result(0) is None


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


def test_an_upload_that_fails_fails_its_entry_and_frees_the_thread(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    slow, encoding = submit_later(queue, "t")
    after = submit(queue, "t", "after")
    encoding.set_exception(BlobUnavailable("the backend is away"))
    runner.finish_all()
    assert isinstance(slow.exception(0), BlobUnavailable)
    assert after.result(0) is None


def test_a_write_that_can_not_be_encoded_is_refused_and_never_queued(runner: ManualRunner) -> None:
    queue = queue_on(runner)

    def refuse(_missing: MissingParts | None) -> EncodedWrite:
        raise TypeError("not serialisable")

    with pytest.raises(TypeError, match="not serialisable"):
        queue.submit(EncodedAttempt("t", refuse))
    after = submit(queue, "t", "after")
    runner.finish_all()
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


def test_a_write_that_waited_and_can_not_be_encoded_holds_back_nothing(runner: ManualRunner) -> None:
    queue = queue_on(runner, max_pending=1)

    def refuse(_missing: MissingParts | None) -> EncodedWrite:
        raise TypeError("not serialisable")

    for name in ("under way", "queued"):
        submit(queue, "t", name)
    bad = queue.submit(EncodedAttempt("t", refuse))
    after = submit(queue, "t", "after")
    runner.finish_all()
    assert isinstance(bad.exception(0), TypeError)
    assert after.result(0) is None


def test_the_queue_is_bounded_by_bytes_too(runner: ManualRunner) -> None:
    queue = queue_on(runner, max_held_bytes=10_000_000)
    encoded = LateEncoding()
    futures = [encoded.submit(queue, str(n), 5_000_000) for n in range(5)]
    assert encoded.names == ["0", "1"]
    runner.finish_all()
    assert encoded.names == ["0", "1", "2", "3", "4"]
    assert all(future.result(0) is None for future in futures)


# --- closing


def test_closing_waits_for_what_was_accepted_and_refuses_the_rest(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    future = submit(queue, "t", "last")
    closing = threading.Thread(target=queue.close, args=[20])
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
    closing = threading.Thread(target=queue.close, args=[20])
    closing.start()
    encoding.set_result(task_writes("t", "uploaded"))
    while closing.is_alive():
        runner.finish_all()
    closing.join()
    assert slow.result(0) is None


def test_closing_ends_when_the_last_upload_fails(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    slow, encoding = submit_later(queue, "t")
    closing = threading.Thread(target=queue.close, args=[20])
    closing.start()
    encoding.set_exception(BlobUnavailable("the backend is away"))
    closing.join(10)
    assert not closing.is_alive()
    assert isinstance(slow.exception(0), BlobUnavailable)


def test_closing_rejects_what_is_not_encoded_yet_and_what_waits_for_room(runner: ManualRunner) -> None:
    queue = queue_on(runner, max_pending=1)
    entered, go_on = threading.Event(), threading.Event()

    def encode(_missing: MissingParts | None) -> EncodedWrite:
        entered.set()
        go_on.wait(20)
        return task_writes("t", "late")

    with ThreadPoolExecutor(1) as caller:
        late = caller.submit(queue.submit, EncodedAttempt("t", encode))
        entered.wait(20)
        accepted = [submit(queue, "t", "under way"), submit(queue, "t", "queued")]
        waiting = submit(queue, "v", "waiting")
        closing = threading.Thread(target=queue.close, args=[20])
        closing.start()
        while closing.is_alive():
            runner.finish_all()
        go_on.set()
        with pytest.raises(StoreClosed):
            late.result(20)
    with pytest.raises(StoreClosed):
        waiting.result(0)
    assert [future.result(0) for future in accepted] == [None, None]
    assert runner.batches == [["under way"], ["queued"]]


def test_a_write_that_meets_a_closed_database_fails() -> None:
    runner = open_database(parse_database_url(":memory:"), DatabaseSettings())
    runner.close()
    queue = WriteQueue(runner, ManualRunner().commit, GivenEncoder(), DatabaseSettings())  # type: ignore[arg-type]
    with pytest.raises(StoreClosed):
        submit(queue, "t", "x")
