"""Callers that give up: what has not begun leaves the queue, and the bounds hold for those that wait."""

from __future__ import annotations

from ckptstore.errors import BlobUnavailable
from ckptstore.runtime.future import Future
from tests.support.attempts import task_writes
from tests.support.write_queue import LateEncoding, ManualRunner, queue_on, submit, submit_later


def test_writes_that_nobody_waits_for_leave_the_queue(runner: ManualRunner) -> None:
    queue = queue_on(runner, max_pending=10)
    under_way = submit(queue, "t", "under way")
    for n in range(5_000):
        queue.abandon(submit(queue, "t", str(n)))
    assert queue.depth == 0
    kept = submit(queue, "t", "kept")
    runner.finish_all()
    assert runner.batches == [["under way"], ["kept"]]
    assert under_way.done()
    assert kept.done()


def test_what_waits_for_room_is_not_encoded_and_leaves_when_its_caller_gives_up(runner: ManualRunner) -> None:
    queue = queue_on(runner, max_pending=10)
    encoded = LateEncoding()
    futures = [encoded.submit(queue, str(n), 1_000) for n in range(1_000)]
    # One is under way.
    assert len(encoded.names) == 11
    assert queue._pending.held_bytes == 11_000
    for future in futures[11:-1]:
        queue.abandon(future)
    runner.finish_all()
    assert [name for batch in runner.batches for name in batch] == [str(n) for n in range(11)] + ["999"]
    assert queue._pending.held_bytes == 0


def test_a_write_that_is_under_way_is_stored_although_nobody_waits(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    under_way = submit(queue, "t", "under way")
    queue.abandon(under_way)
    after = submit(queue, "t", "after")
    runner.finish_all()
    assert runner.batches == [["under way"], ["after"]]
    assert after.done()


def test_an_upload_that_was_abandoned_frees_its_thread_at_once_and_its_room_when_it_ends(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    slow, encoding = submit_later(queue, "t")
    after = submit(queue, "t", "after")
    queue.abandon(slow)
    runner.finish_all()
    assert after.done()
    assert queue._pending.held_bytes == 5_000_000
    encoding.set_result(task_writes("t", "uploaded"))
    runner.finish_all()
    assert runner.batches == [["after"]]
    assert queue._pending.held_bytes == 0
    assert queue.depth == 0


def test_an_upload_that_was_abandoned_and_fails_is_forgotten(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    slow, encoding = submit_later(queue, "t")
    queue.abandon(slow)
    encoding.set_exception(BlobUnavailable("the backend is away"))
    assert queue.depth == 0


def test_abandoning_what_is_done_changes_nothing(runner: ManualRunner) -> None:
    queue = queue_on(runner)
    done: Future[None] = submit(queue, "t", "done")
    runner.finish_all()
    queue.abandon(done)
    assert done.result(0) is None
