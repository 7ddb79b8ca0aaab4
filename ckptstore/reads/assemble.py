"""Assemble checkpoints from the rows of `ckptstore.db.sql.checkpoints.whole`, which come in four shapes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, starmap
from operator import attrgetter
from typing import Any, NamedTuple

from ckptstore.db.sql.checkpoints import KIND_PARENT_SEND, KIND_WRITE
from ckptstore.records import CheckpointKey, LoadedCheckpoint, LoadedSegment, LoadedWrite, Value
from ckptstore.values.decode import Loaded, SegmentSet, StoredValue

_BY_ID = attrgetter("key.checkpoint_id", "key.thread_id", "key.checkpoint_ns")
_WRITE_ORDER = attrgetter("task_path", "task_id", "idx")

# All shapes have the columns of `whole`; a column that a shape does not use is named `unused`.


class CheckpointRow(NamedTuple):
    """A checkpoint."""

    kind: int
    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str
    parent_checkpoint_id: str | None
    channel_versions: str
    metadata: str
    #: None if no read finds the parent.
    visible_parent_id: str | None
    format: int
    type: str
    body: bytes


class ChannelRow(NamedTuple):
    """The value of one version of a channel."""

    kind: int
    thread_id: str
    checkpoint_ns: str
    unused_id: None
    channel: str
    version: str
    unused: None
    layout: str | None
    unused_number: None
    type: str
    literal: bytes | None


class WriteRow(NamedTuple):
    """A task's write to a checkpoint, or to its parent (`KIND_PARENT_SEND`)."""

    kind: int
    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str
    task_id: str
    channel: str
    task_path: str
    layout: str | None
    idx: int
    type: str
    literal: bytes | None


class SegmentRow(NamedTuple):
    """A segment that the layout of a channel's value or of a write names."""

    kind: int
    thread_id: str
    unused_ns: None
    unused_id: None
    digest: str
    object_key: str | None
    unused: None
    unused_layout: None
    size: int
    encoding: str
    data: bytes | None


#: By thread, namespace, channel and version.
_Values = Mapping[tuple[str, str, str, str], StoredValue]
#: By kind and checkpoint, then by task and index: in the order in which LangGraph expects them.
_Writes = Mapping[tuple[int, CheckpointKey], Mapping[tuple[str, int], LoadedWrite]]


def assemble(rows: Iterable[Sequence[Any]], segments: SegmentSet) -> Loaded[list[LoadedCheckpoint]]:
    """Put the rows of a `whole` statement together, newest checkpoint first."""
    by_kind: tuple[list[Sequence[Any]], ...] = ([], [], [], [], [])
    for row in rows:
        by_kind[row[0]].append(row)
    checkpoint_rows, channel_rows, write_rows, send_rows, segment_rows = by_kind
    for segment in starmap(SegmentRow, segment_rows):
        segments.add(LoadedSegment(segment.digest, segment.object_key, segment.size, segment.encoding, segment.data))
    values: dict[tuple[str, str, str, str], StoredValue] = {}
    for of in starmap(ChannelRow, channel_rows):
        values[of.thread_id, of.checkpoint_ns, of.channel, of.version] = StoredValue(of.type, of.literal, of.layout, segments)
    writes = _writes_by_checkpoint(starmap(WriteRow, chain(write_rows, send_rows)), segments)
    checkpoints = [_checkpoint(CheckpointRow(*row), values, writes) for row in checkpoint_rows]
    checkpoints.sort(key=_BY_ID, reverse=True)
    return Loaded(checkpoints, segments, [value for loaded in checkpoints for value in loaded.all_values] if segments.remote else [])


def _checkpoint(row: CheckpointRow, values: _Values, writes: _Writes) -> LoadedCheckpoint:
    key = CheckpointKey(row.thread_id, row.checkpoint_ns, row.checkpoint_id)
    versions: dict[str, str | None] = json.loads(row.channel_versions)
    loaded = LoadedCheckpoint(key, row.visible_parent_id, row.format, Value(row.type, row.body), versions, row.metadata)
    for channel, version in versions.items():
        if version is not None and (value := values.get((row.thread_id, row.checkpoint_ns, channel, version))) is not None:
            loaded.values[channel] = value
    loaded.writes = list(writes.get((KIND_WRITE, key), {}).values())
    if row.parent_checkpoint_id is not None:
        parent = CheckpointKey(row.thread_id, row.checkpoint_ns, row.parent_checkpoint_id)
        loaded.parent_sends = list(writes.get((KIND_PARENT_SEND, parent), {}).values())
    return loaded


def _writes_by_checkpoint(rows: Iterable[WriteRow], segments: SegmentSet) -> _Writes:
    found: dict[tuple[int, CheckpointKey], dict[tuple[str, int], LoadedWrite]] = {}
    for row in sorted(rows, key=_WRITE_ORDER):
        key = CheckpointKey(row.thread_id, row.checkpoint_ns, row.checkpoint_id)
        write = LoadedWrite(row.task_path, row.task_id, row.idx, row.channel, StoredValue(row.type, row.literal, row.layout, segments))
        # By task and index: two checkpoints of one page may share a parent, whose writes then come twice.
        found.setdefault((row.kind, key), {})[row.task_id, row.idx] = write
    return found
