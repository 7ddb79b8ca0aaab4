"""Encoded writes, for tests of the queue without a serialiser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ckptstore.records import CheckpointKey, NewCheckpoint, NewWrite, NewWrites, Value, WriteRecord
from ckptstore.runtime.future import Future
from ckptstore.values.encode import EncodedWrite, chunk_values, encode
from ckptstore.writes.attempt import Encoding, MissingParts, WriteAttempt

Encoded = EncodedWrite | Future[EncodedWrite]


class EncodedAttempt(WriteAttempt):
    """A write whose encoded form a test passes, either as a value or as a function that is called for each attempt."""

    operation = "put"

    def __init__(self, thread_id: str, write: Encoded | Callable[[MissingParts | None], Encoded], held_bytes: int = 0) -> None:
        super().__init__(CheckpointKey(thread_id, "", "c"))
        self.write = write
        self.held_bytes = held_bytes

    def serialise(self, not_stored: Sequence[str]) -> WriteRecord:
        raise AssertionError("it is encoded already")


class GivenEncoder:
    """An encoder that returns the encoded form that each attempt carries."""

    def __init__(self) -> None:
        self.stored_writes: list[EncodedWrite] = []

    def encode(self, attempt: WriteAttempt, missing: MissingParts | None = None) -> Encoding:
        assert isinstance(attempt, EncodedAttempt)
        return Encoding(attempt.held_bytes, attempt.write(missing) if callable(attempt.write) else attempt.write)

    def stored(self, write: EncodedWrite) -> None:
        self.stored_writes.append(write)


def encoded(record: WriteRecord) -> EncodedWrite:
    """A record of a thread that has no segments yet, encoded."""
    return encode(record, lambda _digests: set(), chunk_values(record))


def task_writes(thread_id: str, name: Any, data: bytes = b"") -> EncodedWrite:
    """One write of the task `name`."""
    return encoded(NewWrites(CheckpointKey(thread_id, "", "c"), name, "", 0, [NewWrite(0, "x", Value("bytes", data))], False))


def new_checkpoint(thread_id: str, name: str, **parts: Any) -> EncodedWrite:
    """A checkpoint without channels."""
    key = CheckpointKey(thread_id, "", name)
    empty: dict[str, Any] = {"channel_versions": "{}", "metadata": "{}", "values": [], "carried": [], "postings": frozenset(), "size": 0}
    record = NewCheckpoint(key=key, parent_checkpoint_id=None, created_at=0, format=4, body=Value("null", b""), **{**empty, **parts})
    return encoded(record)
