"""Which entries of a queue go into a batch."""

from __future__ import annotations

import os

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
    entry = QueueEntry((thread_id,), None, None)
    entry.state = State.ENCODING
    return entry


def work(*threads: str) -> QueueEntry:
    return QueueEntry(threads, None, lambda _db: None)


def test_everything_that_is_ready_goes() -> None:
    queue = [ready(name, task_writes(name, name)) for name in "abc"]
    batch: list[QueueEntry] = []
    assert fill(batch, queue) == []
    assert batch == queue


def test_an_entry_that_is_not_ready_holds_back_later_entries_of_its_thread_only() -> None:
    slow, behind, other = encoding("t"), ready("t", task_writes("t", "b")), ready("u", task_writes("u", "c"))
    batch: list[QueueEntry] = []
    assert fill(batch, [slow, behind, other]) == [slow, behind]
    assert batch == [other]


def test_nothing_of_a_thread_follows_its_checkpoint_into_the_batch() -> None:
    first, second, other = ready("t", new_checkpoint("t", "a")), ready("t", new_checkpoint("t", "b")), ready("u", new_checkpoint("u", "c"))
    batch: list[QueueEntry] = []
    assert fill(batch, [first, second, other]) == [second]
    assert batch == [first, other]


def test_what_is_in_the_batch_already_holds_back_too() -> None:
    first, second = ready("t", new_checkpoint("t", "a")), ready("t", task_writes("t", "b"))
    batch = [first]
    assert fill(batch, [second]) == [second]
    assert batch == [first]


def test_work_is_a_batch_by_itself_and_keeps_its_turn() -> None:
    before, alone, after = ready("t", task_writes("t", "a")), work("t"), ready("t", task_writes("t", "b"))
    batch: list[QueueEntry] = []
    left = fill(batch, [before, alone, after])
    assert (batch, left) == ([before], [alone, after])
    batch = []
    assert fill(batch, left) == [after]
    assert batch == [alone]


def test_a_batch_ends_before_it_has_too_many_bytes_but_one_entry_always_fits() -> None:
    # Random, or compression would leave nothing of it.
    large = [ready(name, task_writes(name, name, os.urandom(9_000_000))) for name in "ab"]
    small = ready("c", task_writes("c", "c"))
    batch: list[QueueEntry] = []
    assert fill(batch, [*large, small]) == [large[1]]
    assert batch == [large[0], small]
    assert batches._MAX_BYTES < 18_000_000


def test_a_batch_has_a_bounded_number_of_entries() -> None:
    queue = [ready(str(n), task_writes(str(n), n)) for n in range(batches._MAX_ENTRIES + 3)]
    batch: list[QueueEntry] = []
    assert fill(batch, queue) == queue[-3:]
    assert len(batch) == batches._MAX_ENTRIES


def test_the_threads_of_a_batch() -> None:
    assert threads_of([work("t", "u")]) == {"t", "u"}
    assert threads_of([work("t"), work("u", "t"), work()]) == {"t", "u"}
