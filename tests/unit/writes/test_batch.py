"""Which entries of a queue go into a batch."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ckptstore.values.encode import EncodedWrite
from ckptstore.writes import batch as batches
from ckptstore.writes.batch import fill, threads_of
from ckptstore.writes.entry import QueueEntry, State
from tests.support.attempts import EncodedAttempt, new_checkpoint, task_writes


def ready(thread_id: str, write: EncodedWrite) -> QueueEntry:
    entry = QueueEntry((thread_id,), EncodedAttempt(thread_id, write), None)
    entry.write, entry.state = write, State.READY
    return entry


def encoding(thread_id: str) -> QueueEntry:
    return QueueEntry((thread_id,), None, None)


def work(*threads: str) -> QueueEntry:
    return QueueEntry(threads, None, lambda _db: None)


def batch_of(queue: Iterable[QueueEntry]) -> list[QueueEntry]:
    batch: list[QueueEntry] = []
    fill(batch, queue)
    return batch


def test_everything_that_is_ready_is_taken() -> None:
    queue = [ready(name, task_writes(name, name)) for name in "abc"]
    assert batch_of(queue) == queue


def test_an_entry_that_is_not_ready_holds_back_later_entries_of_its_thread_only() -> None:
    slow, behind, other = encoding("t"), ready("t", task_writes("t", "b")), ready("u", task_writes("u", "c"))
    assert batch_of([slow, behind, other]) == [other]


def test_an_entry_that_is_under_way_holds_back_later_entries_of_its_thread_only() -> None:
    first, behind, other = ready("t", task_writes("t", "a")), ready("t", task_writes("t", "b")), ready("u", task_writes("u", "c"))
    first.state = State.UNDER_WAY
    assert batch_of([first, behind, other]) == [other]


def test_nothing_of_a_thread_follows_its_checkpoint_into_the_batch() -> None:
    first, second, other = ready("t", new_checkpoint("t", "a")), ready("t", new_checkpoint("t", "b")), ready("u", new_checkpoint("u", "c"))
    assert batch_of([first, second, other]) == [first, other]


def test_what_is_in_the_batch_already_holds_back_too() -> None:
    first, second = ready("t", new_checkpoint("t", "a")), ready("t", task_writes("t", "b"))
    batch = [first]
    fill(batch, [second])
    assert batch == [first]


def test_work_is_a_batch_by_itself_and_keeps_its_turn() -> None:
    before, alone, after = ready("t", task_writes("t", "a")), work("t"), ready("t", task_writes("t", "b"))
    assert batch_of([before, alone, after]) == [before]
    assert batch_of([alone, after]) == [alone]


def test_a_batch_ends_before_it_has_too_many_bytes_but_one_entry_always_fits() -> None:
    # Random, or compression would leave nothing of it.
    large = [ready(name, task_writes(name, name, os.urandom(9_000_000))) for name in "ab"]
    small = ready("c", task_writes("c", "c"))
    assert batch_of([*large, small]) == [large[0], small]
    assert batches._MAX_BYTES < 18_000_000


def test_a_batch_has_a_bounded_number_of_entries() -> None:
    queue = [ready(str(n), task_writes(str(n), n)) for n in range(batches.MAX_ENTRIES + 3)]
    assert batch_of(queue) == queue[:-3]


def test_a_batch_that_lingered_takes_no_more_than_its_target() -> None:
    queue = [ready(name, task_writes(name, name)) for name in "abcd"]
    batch = queue[:2]
    fill(batch, queue[2:], limit=3)
    assert batch == queue[:3]


def test_the_threads_of_a_batch() -> None:
    assert threads_of([work("t", "u")]) == {"t", "u"}
    assert threads_of([work("t"), work("u", "t"), work()]) == {"t", "u"}
