"""A source whose threads come as records, as a put makes them: another saver's store."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from sqlalchemy import Table

from ckptstore.blobs.upload import Uploader
from ckptstore.db.sql.batch_parts import BATCH_ROWS
from ckptstore.db.sql.tables import CHANNEL, CHECKPOINT, SEGMENT, TAG, WRITE, Row
from ckptstore.maintenance.prune_plan import CheckpointRef, Node, ThreadView, Version
from ckptstore.records import CheckpointKey, NewCheckpoint, NewWrites, StateFormat, WriteRecord
from ckptstore.store.store import Store
from ckptstore.transfer.parcel import Choice, Parcel, SourceThread, TargetThread, ThreadGone, ThreadTimes
from ckptstore.transfer.row_hash import hidden_row, payload_bytes, row_hash
from ckptstore.transfer.selection import Everything, Selection, newest_rule, select
from ckptstore.values.encode import EncodedWrite, chunk_values, encode, encode_small, needs_blob_storage
from ckptstore.values.known_segments import KnownSegments
from ckptstore.writes.rows import BatchRows


class Imported(NamedTuple):
    """A record of a thread."""

    record: WriteRecord
    #: Whether only its values are stored: it is no checkpoint of the thread.
    only_values: bool = False


class RecordReader(Protocol):
    """Reads another saver's store."""

    #: Its origin, see `remembered.origin_of`.
    origin: str

    def threads(self, choice: Choice) -> AsyncGenerator[Sequence[SourceThread], None]:
        """See `ThreadSource.threads`."""
        ...

    async def open(self, thread_ids: Sequence[str]) -> ThreadRecords:
        """Read threads in one snapshot."""
        ...

    def close(self) -> None:
        """Release what was opened. Blocks."""
        ...


class ThreadRecords(Protocol):
    """Some threads of a source, as of one snapshot. They can be read again."""

    def records(self, thread_id: str) -> AsyncGenerator[Imported, None]:
        """The records of a thread: values that are rows of their own first, then checkpoints, the oldest first, then writes."""
        ...

    def close(self) -> None:
        """Release what was read."""
        ...


class RecordSource:
    """Makes parcels of records, on the loop of the target's registry of objects.

    Args:
        reader: reads the source.
        target: where the records go; their large values are uploaded before the parcel is stored.
        choice: what is transferred of each thread.
        state_format: what the checkpoints mean.
    """

    def __init__(self, reader: RecordReader, target: Store, choice: Choice, state_format: StateFormat) -> None:
        self.origin = reader.origin
        self._reader = reader
        self._objects = target.objects
        self._newest = choice.newest
        self._state_format = state_format

    def threads(self, choice: Choice) -> AsyncGenerator[Sequence[SourceThread], None]:
        """See `ThreadSource.threads`."""
        return self._reader.threads(choice)

    async def parcel(self, threads: Sequence[SourceThread], existing: TargetThread | None) -> Parcel:
        """See `ThreadSource.parcel`."""
        parcel = Parcel(threads, existing=existing)
        read = await self._reader.open([thread.thread_id for thread in threads])
        try:
            for thread in threads:
                await self._add_thread(parcel, read, thread.thread_id)
            parcel.threads = [thread for thread in threads if thread.thread_id in parcel.times]
            if not parcel.threads:
                raise ThreadGone(threads[0].thread_id)
            parcel.spool.end()
        except BaseException:
            parcel.spool.close()
            raise
        finally:
            read.close()
        return parcel

    async def _add_thread(self, parcel: Parcel, read: ThreadRecords, thread_id: str) -> None:
        chosen = Everything() if self._newest is None else await self._chosen(read, thread_id, self._newest)
        thread = _Thread(parcel, chosen)
        known = KnownSegments()
        uploader = Uploader(self._objects, known)
        async for imported in read.records(thread_id):
            record = thread.noted(imported)
            if record is not None:
                encoded = await self._encoded(record, known, uploader)
                thread.add(encoded, only_values=imported.only_values or not thread.has_checkpoint(record.key))
                in_rows = [segment.digest for segment in encoded.segments if segment.object_key is None]
                known.add(thread_id, [*encoded.known, *in_rows], encoded.object_keys)
        if thread.times is not None:
            parcel.times[thread_id] = thread.times

    async def _encoded(self, record: WriteRecord, known: KnownSegments, uploader: Uploader) -> EncodedWrite:
        small = encode_small(record)
        if small is not None:
            return small
        chunked = chunk_values(record)
        if needs_blob_storage(chunked) and self._objects.has_backend:
            return await uploader.encode_here(record, chunked)
        return encode(record, partial(known.among, record.key.thread_id), chunked)

    async def _chosen(self, read: ThreadRecords, thread_id: str, number: int) -> Selection:
        nodes: dict[CheckpointRef, Node] = {}
        values: set[Version] = set()
        with_tasks: set[CheckpointRef] = set()
        latest = 0
        async for record, only_values in read.records(thread_id):
            if isinstance(record, NewWrites):
                if any(write.channel == self._state_format.tasks_channel for write in record.writes):
                    with_tasks.add(CheckpointRef(*record.key[1:]))
                continue
            values.update((record.key.checkpoint_ns, channel, version) for channel, version, _ in record.values)
            if not only_values:
                latest = max(latest, record.created_at)
                nodes[CheckpointRef(*record.key[1:])] = self._node(record)
        return select(thread_id, ThreadView(nodes, values, with_tasks, updated_at=latest), newest_rule(number, latest))

    def _node(self, record: NewCheckpoint) -> Node:
        return Node(
            state_format=self._state_format,
            ref=CheckpointRef(*record.key[1:]),
            parent_checkpoint_id=record.parent_checkpoint_id,
            created_at=record.created_at,
            format=record.format,
            channel_versions=json.loads(record.channel_versions),
            metadata=record.metadata,
            size=record.size,
        )


class _Thread:
    """Adds the records of one thread to a parcel."""

    def __init__(self, parcel: Parcel, chosen: Selection) -> None:
        self._parcel, self._chosen = parcel, chosen
        self.times: ThreadTimes | None = None

    def has_checkpoint(self, key: CheckpointKey) -> bool:
        """Whether a checkpoint is chosen."""
        return self._chosen.has(CHECKPOINT.name, key[1:])

    def noted(self, imported: Imported) -> WriteRecord | None:
        """The chosen part of a record; None if there is none. Its time counts in any case."""
        record = imported.record
        if not imported.only_values:
            first, last = self.times or (record.created_at, record.created_at)
            self.times = ThreadTimes(min(first, record.created_at), max(last, record.created_at))
        if isinstance(record, NewWrites):
            return record if self._chosen.has(WRITE.name, record.key[1:]) else None
        namespace = record.key.checkpoint_ns
        values = [value for value in record.values if self._chosen.has(CHANNEL.name, (namespace, *value[:2]))]
        return record if len(values) == len(record.values) else record._replace(values=values)

    def add(self, encoded: EncodedWrite, *, only_values: bool) -> None:
        """Add the rows of a record."""
        parcel, record = self._parcel, encoded.record
        left_out = (CHECKPOINT, TAG) if only_values and isinstance(record, NewCheckpoint) else ()
        hidden = isinstance(record, NewCheckpoint) and self._chosen.hides(record.key[1:])
        if isinstance(record, NewCheckpoint) and not only_values and not hidden:
            parcel.count(record.key, record.size)
        parcel.object_keys.update(encoded.object_keys.values())
        for part, rows in BatchRows([(0, encoded)]).parts.items():
            table = BATCH_ROWS[part][0] if part in BATCH_ROWS else None
            if table is None or table in left_out or (hidden and table is TAG):
                continue
            for row in rows:
                self._add_row(table, hidden_row(row) if hidden and table is CHECKPOINT else row)

    def _add_row(self, table: Table, row: Row) -> None:
        parcel, existing = self._parcel, self._parcel.existing
        if table is TAG:
            parcel.add(TAG, row, 0)
            return
        found = row_hash(table.name, row)
        parcel.expected.add(found)
        if existing is not None:
            if table is not SEGMENT:
                parcel.seen.add(found)
            if found in (existing.segments if table is SEGMENT else existing.hashes):
                return
        parcel.add(table, row, payload_bytes(table.name, row))
