"""Converts encoded writes to rows, whose cells are in the order of their table's columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set

from ckptstore.db.sql.tables import Row
from ckptstore.records import CheckpointKey, NewCheckpoint, NewWrites, Posting
from ckptstore.runtime.random_ids import random_bits
from ckptstore.values.checksums import channel_checksum, checkpoint_checksum, write_checksum
from ckptstore.values.encode import EncodedWrite

_GENERATION_BITS = 62


class BatchRows:
    """The rows of a batch, by its parts: those of `sql.batch_parts.BATCH_ROWS`, and the keys that `BATCH_NEEDS` names.

    Args:
        writes: the writes of the batch, each with its number in it.
    """

    def __init__(self, writes: Iterable[tuple[int, EncodedWrite]]) -> None:
        #: The rows of each part that has some.
        self.parts: dict[str, list[Row]] = defaultdict(list)
        #: For each row of a part, the number of the entry that it belongs to.
        self.entry_nos: dict[str, list[int]] = defaultdict(list)
        # The rows of tasks' writes by key, each with its entry's number: among several with one key, the order decides.
        self._kept: dict[Row, tuple[int, Row]] = {}
        self._replaced: dict[Row, tuple[int, Row]] = {}
        for number, write in writes:
            if write.known or write.segments:
                self._add_segments(number, write)
            if write.fence is not None:
                self._add("leases", number, [(write.record.key.thread_id, write.fence)])
            if isinstance(write.record, NewCheckpoint):
                self._add_checkpoint(number, write, write.record)
            else:
                self._add_task_writes(number, write, write.record)
        if self._kept or self._replaced:
            self._end_task_writes()

    def _add_segments(self, number: int, write: EncodedWrite) -> None:
        thread_id = write.record.key.thread_id
        if write.known:
            self._add("known", number, [(thread_id, digest) for digest in write.known])
        if write.segments:
            self._add("segments", number, [(thread_id, *segment) for segment in write.segments])

    def _add_checkpoint(self, number: int, write: EncodedWrite, put: NewCheckpoint) -> None:
        thread_id, checkpoint_ns, _ = put.key
        parent_id, body, versions = put.parent_checkpoint_id, put.body, put.channel_versions
        value_count = len(put.values) + len(put.carried)
        checksum = checkpoint_checksum(put.key, parent_id, put.format, body.type, body.data, versions, put.metadata, value_count)
        payload = (put.format, body.type, body.data, versions, put.metadata, put.size)
        self.parts["checkpoints"].append((*put.key, parent_id, put.created_at, *payload, False, value_count, checksum))
        self.entry_nos["checkpoints"].append(number)
        if put.carried:
            self._add("carried", number, [(thread_id, checkpoint_ns, channel, version) for channel, version in put.carried])
        for (channel, version, value), form in zip(put.values, write.forms, strict=True):
            key, content = (thread_id, checkpoint_ns, channel, version), (value.type, len(value.data), *form)
            self.parts["channels"].append((*key, *content, channel_checksum(key, *content)))
            self.entry_nos["channels"].append(number)
        if put.postings:
            self._add("tags", number, tag_rows(put.key, put.postings))

    def _add(self, part: str, number: int, rows: Sequence[Row]) -> None:
        self.parts[part] += rows
        self.entry_nos[part] += [number] * len(rows)

    def _add_task_writes(self, number: int, write: EncodedWrite, record: NewWrites) -> None:
        for one, form in zip(record.writes, write.forms, strict=True):
            key = (*record.key, record.task_id, one.idx)
            type_, size = one.value.type, len(one.value.data)
            checksum = write_checksum(key, record.task_path, one.channel, type_, size, *form)
            row = (*key, record.task_path, one.channel, record.created_at, type_, size, *form, checksum)
            if record.replace:
                self._replaced[key] = (number, row)
                self._kept.pop(key, None)
            elif key not in self._replaced:
                self._kept.setdefault(key, (number, row))

    def _end_task_writes(self) -> None:
        for part, rows in (("kept_writes", self._kept), ("replaced_writes", self._replaced)):
            for number, row in rows.values():
                self.parts[part].append(row)
                self.entry_nos[part].append(number)


def tag_rows(key: CheckpointKey, postings: Iterable[Posting]) -> list[Row]:
    """A checkpoint's rows in the tag index."""
    thread_id, checkpoint_ns, checkpoint_id = key
    return [(*posting, checkpoint_id, thread_id, checkpoint_ns) for posting in postings]


def thread_rows(writes: Iterable[EncodedWrite], not_new: Set[CheckpointKey] = frozenset()) -> list[Row]:
    """One row per thread with the sum of the batch's changes to it.

    They are in the order of the threads' ids: two processes that lock the same threads never deadlock.

    Args:
        writes: the batch.
        not_new: its checkpoints that exist already and so are not counted.
    """
    totals: dict[str, tuple[int, int, int]] = {}
    for write in writes:
        record = write.record
        latest, count, size = totals.get(record.key.thread_id, (0, 0, 0))
        if isinstance(record, NewCheckpoint) and record.key not in not_new:
            count, size = count + 1, size + record.size
        totals[record.key.thread_id] = (max(latest, record.created_at), count, size)
    # If a thread is deleted and created again, its row must begin with another generation, or the two could be confused.
    return [(thread_id, latest, latest, new_generation(), count, size) for thread_id, (latest, count, size) in sorted(totals.items())]


def entry_rows(writes: Iterable[tuple[int, EncodedWrite]]) -> list[Row]:
    """The change of each entry to its thread: thread id, time, generation, whether it is a checkpoint, size, number of the entry."""
    # One generation for all: only rows of the same thread must begin with different ones.
    generation = new_generation()
    rows: list[Row] = []
    for number, write in writes:
        record = write.record
        size = record.size if isinstance(record, NewCheckpoint) else 0
        rows.append((record.key.thread_id, record.created_at, generation, isinstance(record, NewCheckpoint), size, number))
    return rows


def new_generation() -> int:
    """The generation of a thread's new row; deletions increment it."""
    return random_bits(_GENERATION_BITS)


def row_keys(write: EncodedWrite) -> list[Row]:
    """The keys of the checkpoint, or of the task's writes, that an entry stores."""
    record = write.record
    if isinstance(record, NewWrites):
        return [(*record.key, record.task_id, one.idx) for one in record.writes]
    return [record.key]
