"""Storing every value of a store anew under another serialiser, while others read and write.

Each row is rewritten by itself under the new serialiser, in short transactions. A run that was interrupted is repeated: rows that
the new serialiser reads are left as they are.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Table

from ckptstore.blobs.download import Downloader
from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.blobs.upload import Uploader
from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.errors import BlobUnavailable
from ckptstore.maintenance.reports import ReencryptReport
from ckptstore.maintenance.row_pages import ROW_KINDS, RowKind, row_pages
from ckptstore.maintenance.thread_rows import lock_thread
from ckptstore.maintenance.turns import write_in_turn
from ckptstore.reads.row_checks import altered, refuse
from ckptstore.reads.rows import ChannelRow, CheckpointRow, StoredRow, WriteRow, check_length, parsed_layout
from ckptstore.records import CheckpointKey, LoadedSegment, NewWrite, NewWrites, SerialisedValue, Value
from ckptstore.values.cache import MemoryCache
from ckptstore.values.checksums import channel_checksum, checkpoint_checksum, write_checksum
from ckptstore.values.chunking import layout_digests, layout_references
from ckptstore.values.decode import SegmentSet, StoredValue
from ckptstore.values.encode import EncodedWrite, StoredForm, layout_json
from ckptstore.values.known_segments import KnownSegments
from ckptstore.writes.replace import confirm_objects

_ROWS_PER_PAGE = 200
# In one transaction, of one thread: other writes on SQLite wait for some milliseconds.
_ROWS_PER_STEP = 50
_BYTES_PER_STEP = 8 * 1024 * 1024
# An object that is being deleted is uploaded again; more often it is no race any more.
_MAX_TRIES = 5


class Recode(Protocol):
    """Takes a stored value to the new serialiser, see `ckptstore.langgraph.recode.Recoder`."""

    def value(self, stored: SerialisedValue, channel: str) -> Value | None: ...
    def body(self, stored: SerialisedValue) -> Value | None: ...


class _Recoded(NamedTuple):
    row: StoredRow
    value: Value


class Reencryption:
    """One run over a store, on the loop of its registry.

    Args:
        objects: the registry of objects, and with it the database.
        downloads: reads what objects hold.
        recode: takes a value to the new serialiser.
        now: the time in microseconds since 1970, UTC.
        progress: called after each transaction.
    """

    def __init__(
        self, objects: ObjectRegistry, downloads: Downloader, recode: Recode, now: int, progress: Callable[[ReencryptReport], None]
    ) -> None:
        self._objects = objects
        self._downloads = downloads
        self._recode = recode
        self._now = now
        self._progress = progress
        # Nothing is known: the segments of the old serialiser are about to be deleted.
        self._uploader = Uploader(objects, KnownSegments())
        self.report = ReencryptReport()

    async def run(self) -> ReencryptReport:
        """Store every row anew that the new serialiser can't read."""
        for kind in ROW_KINDS:
            async for rows in row_pages(self._objects, kind, _ROWS_PER_PAGE):
                for row in altered(rows):
                    refuse(row)
                for thread_id, of_thread in groupby(rows, key=lambda row: row.thread_id):
                    for step in _steps(list(of_thread)):
                        await self._step(kind, thread_id, step)
        return self.report

    async def _step(self, kind: RowKind, thread_id: str, rows: Sequence[StoredRow]) -> None:
        values = await self._values(rows)
        recoded = await asyncio.to_thread(self._recoded, rows, values)
        self.report.done_before += len(rows) - len(recoded)
        if recoded:
            stored = await self._store(kind, thread_id, recoded)
            self.report.changed_meanwhile += len(recoded) - stored
            counter = {"ckpt_checkpoint": "checkpoints", "ckpt_channel": "values", "ckpt_write": "writes"}[kind.table.name]
            setattr(self.report, counter, getattr(self.report, counter) + stored)
        self._progress(self.report)

    async def _values(self, rows: Sequence[StoredRow]) -> list[SerialisedValue]:
        segments = SegmentSet(MemoryCache(0))
        values = [_value_of(row, segments) for row in rows]
        await self._objects.read(partial(_load_segments, rows=rows, values=values, segments=segments))
        for segment in segments.remote_segments(values):
            segments.local[segment.digest] = await self._downloads.fetch_one(segment)
        return values

    def _recoded(self, rows: Sequence[StoredRow], values: Sequence[SerialisedValue]) -> list[_Recoded]:
        found: list[_Recoded] = []
        for row, value in zip(rows, values, strict=True):
            made = self._recode.body(value) if isinstance(row, CheckpointRow) else self._recode.value(value, row.channel)
            if made is not None:
                found.append(_Recoded(row, made))
        return found

    async def _store(self, kind: RowKind, thread_id: str, recoded: Sequence[_Recoded]) -> int:
        if kind.table is sql.tables.CHECKPOINT:
            return await write_in_turn(self._objects, partial(_replace, kind=kind, recoded=recoded, write=None)) or 0
        for _ in range(_MAX_TRIES):
            # Any record will do: its values become segments of the thread, and objects.
            writes = [NewWrite(number, "", value) for number, (_, value) in enumerate(recoded)]
            record = NewWrites(CheckpointKey(thread_id, "", ""), "", "", self._now, writes, replace=False)
            write = await self._uploader.encode_here(record)
            stored: int | None = await write_in_turn(self._objects, partial(_replace, kind=kind, recoded=recoded, write=write))
            if stored is not None:
                return stored
            await self._objects.forget([*write.object_keys.values()])
        raise BlobUnavailable(f"thread {thread_id!r}: objects of values that are stored anew were deleted {_MAX_TRIES} times meanwhile")


def _steps(rows: Sequence[StoredRow]) -> Iterator[list[StoredRow]]:
    """Rows of one thread, as many at a time as one transaction takes."""
    step: list[StoredRow] = []
    size = 0
    for row in rows:
        row_bytes = len(row.body) if isinstance(row, CheckpointRow) else row.size
        if step and (len(step) == _ROWS_PER_STEP or size + row_bytes > _BYTES_PER_STEP):
            yield step
            step, size = [], 0
        step.append(row)
        size += row_bytes
    yield step


def _value_of(row: StoredRow, segments: SegmentSet) -> SerialisedValue:
    if isinstance(row, CheckpointRow):
        return Value(row.type, row.body)
    return StoredValue(row.type, row.literal, parsed_layout(row), segments)


def _load_segments(db: Db, rows: Sequence[StoredRow], values: Sequence[SerialisedValue], segments: SegmentSet) -> None:
    """Load the segments that some values of one thread consist of."""
    stored = [(row, value.layout) for row, value in zip(rows, values, strict=True) if isinstance(value, StoredValue) and value.layout]
    digests = {digest for _, layout in stored for digest in layout_digests(layout)}
    _add_segments(db, rows[0].thread_id, digests, segments)
    _add_segments(db, rows[0].thread_id, {digest for named in segments.lists.values() for digest in named} - digests, segments)
    for row, layout in stored:
        assert not isinstance(row, CheckpointRow)
        check_length(row, layout, segments)
    segments.decompress()


def _add_segments(db: Db, thread_id: str, digests: set[str], segments: SegmentSet) -> None:
    parameters = db.key_parameters(sql.tables.SEGMENT_KEY, [(thread_id, digest) for digest in digests])
    for row in db.run(sql.checkpoints.segments, parameters) if digests else ():
        segments.add(LoadedSegment(*row))


def _replace(db: Db, kind: RowKind, recoded: Sequence[_Recoded], write: EncodedWrite | None) -> int | None:
    """Replace the payload of rows that have not changed; returns how many, or None if an object is being deleted."""
    thread_id = recoded[0].row.thread_id
    forms = write.forms if write is not None else [StoredForm(value.data, None) for _, value in recoded]
    with db.transaction():
        lock_thread(db, thread_id)
        if write is not None and confirm_objects(db, write):
            return None
        db.insert(sql.tables.SEGMENT, "replace_object", [(thread_id, *segment) for segment in write.segments] if write is not None else [])
        cells = [_cells(kind.table, one, form) for one, form in zip(recoded, forms, strict=True)]
        return sum(db.run(sql.reencrypt.replace_payload, each, kind.table).rowcount for each in cells)


def _cells(table: Table, recoded: _Recoded, form: StoredForm) -> dict[str, Any]:
    """The parameters of `replace_payload`."""
    row, (type_, data, *_) = recoded
    cells: dict[str, Any] = {column.name: getattr(row, column.name) for column in table.primary_key}
    cells |= {"old_type": row.type, "old_checksum": row.checksum, "new_type": type_}
    if isinstance(row, CheckpointRow):
        parts = (row.format, type_, data, row.channel_versions, row.metadata, row.value_count)
        return {**cells, "new_body": data, "new_checksum": checkpoint_checksum(row.key, row.parent_checkpoint_id, *parts)}
    form = _with_references(form, row)
    cells |= {"new_size": len(data), "new_value": form.value, "new_layout": form.layout}
    value = (type_, len(data), *form)
    if isinstance(row, WriteRow):
        checksum = write_checksum((*row.key, row.task_id, row.idx), row.task_path, row.channel, *value)
        return {**cells, "new_checksum": checksum}
    key = (row.thread_id, row.checkpoint_ns, row.channel, row.version)
    return {**cells, "new_checksum": channel_checksum(key, *value)}


def _with_references(form: StoredForm, row: ChannelRow | WriteRow) -> StoredForm:
    """The form of a value with the blobs that it refers to; their segments are there already."""
    references = layout_references(parsed_layout(row))
    if not references:
        return form
    layout = [len(form.value or b"")] if form.layout is None else json.loads(form.layout)
    return StoredForm(form.value, layout_json([*layout, None, *references]))
