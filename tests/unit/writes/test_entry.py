"""The states of an entry of the write queue."""

from __future__ import annotations

from ckptstore.errors import BlobUnavailable
from ckptstore.runtime.future import Future
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.entry import QueueEntry, State
from tests.support.attempts import EncodedAttempt, GivenEncoder, task_writes

WRITE = task_writes("t", "task")


def encoded(write: EncodedWrite | Future[EncodedWrite]) -> QueueEntry:
    entry = QueueEntry(("t",), EncodedAttempt("t", write, held_bytes=7), None)
    assert entry.state is State.WAITING
    entry.encode(GivenEncoder())  # type: ignore[arg-type]
    assert entry.held_bytes == 7
    return entry


def test_a_write_that_is_encoded_at_once_is_ready() -> None:
    entry = encoded(WRITE)
    assert (entry.state, entry.write, entry.alone) == (State.READY, WRITE, False)


def test_a_write_that_is_encoded_elsewhere_is_ready_later() -> None:
    future: Future[EncodedWrite] = Future()
    entry = encoded(future)
    assert entry.state is State.ENCODING
    future.set_result(WRITE)
    assert entry.take_encoded() is None
    assert (entry.state, entry.write) == (State.READY, WRITE)
    assert entry.waiting_since > 0


def test_why_encoding_failed_is_handed_over() -> None:
    future: Future[EncodedWrite] = Future()
    entry = encoded(future)
    failure = BlobUnavailable("lost")
    future.set_exception(failure)
    assert entry.take_encoded() is failure
    assert (entry.state, entry.write) == (State.WAITING, None)


def test_work_is_ready_and_alone() -> None:
    entry = QueueEntry(("t", "u"), None, lambda _db: None)
    assert (entry.state, entry.alone) == (State.READY, True)


def test_a_write_that_lacks_something_is_encoded_with_it() -> None:
    entry, missing = encoded(WRITE), MissingParts(segments=("digest",))
    entry.encode_again(missing)
    assert (entry.state, entry.write, entry.missing, entry.held_bytes) == (State.WAITING, None, missing, 0)
    entry.encode(GivenEncoder())  # type: ignore[arg-type]
    assert (entry.state, entry.write, entry.missing) == (State.READY, WRITE, None)
