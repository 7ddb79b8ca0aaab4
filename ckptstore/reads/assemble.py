"""Assemble checkpoints from the rows of `ckptstore.db.sql.checkpoints.whole`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat, starmap
from operator import attrgetter
from typing import Any

from ckptstore.db.sql.checkpoints import KIND_PARENT_SEND, KIND_WRITE
from ckptstore.reads import rows as stored
from ckptstore.reads.row_checks import altered, refuse
from ckptstore.reads.rows import ChannelRow, CheckpointRow, SegmentRow, WriteRow
from ckptstore.records import CheckpointKey, LoadedCheckpoint, LoadedSegment, LoadedWrite, SerialisedValue, Value
from ckptstore.values.decode import Loaded, SegmentSet, StoredValue

_BY_ID = attrgetter("key.checkpoint_id", "key.thread_id", "key.checkpoint_ns")
_WRITE_ORDER = attrgetter("task_path", "task_id", "idx")

#: By thread, namespace, channel and version.
_Values = Mapping[tuple[str, str, str, str], SerialisedValue]
#: By kind and checkpoint, then by task and index: in the order in which LangGraph expects them.
_Writes = Mapping[tuple[int, CheckpointKey], Mapping[tuple[str, int], LoadedWrite]]


def assemble(rows: Iterable[Sequence[Any]], segments: SegmentSet) -> Loaded[list[LoadedCheckpoint]]:
    """Put the rows of a `whole` statement together, newest checkpoint first.

    Raises:
        CheckpointCorrupt: a row is not as it was stored, or a value is missing.
        BlobCorrupt: a segment's bytes do not match its digest.
    """
    by_kind: tuple[list[Sequence[Any]], ...] = ([], [], [], [], [])
    for row in rows:
        by_kind[row[0]].append(row)
    checkpoint_rows = [*starmap(CheckpointRow, by_kind[0])]
    channel_rows = [*starmap(ChannelRow, by_kind[1])]
    write_rows = [*starmap(WriteRow, chain(by_kind[2], by_kind[3]))]
    segment_rows = by_kind[4]
    if found := altered([*checkpoint_rows, *channel_rows, *write_rows]):
        refuse(found[0], checkpoint_rows)
    for segment in starmap(SegmentRow, segment_rows):
        segments.add(LoadedSegment(segment.digest, segment.object_key, segment.size, segment.encoding, segment.data))
    values: dict[tuple[str, str, str, str], SerialisedValue] = {}
    for of in channel_rows:
        # Mostly the row has all of a value.
        value = Value(of.type, of.literal or b"") if of.layout is None else _laid_out(of, segments)
        values[of.thread_id, of.checkpoint_ns, of.channel, of.version] = value
    writes = _writes_by_checkpoint(write_rows, segments)
    if segment_rows:
        segments.decompress()
    checkpoints = sorted(map(_checkpoint, checkpoint_rows, repeat(values), repeat(writes)), key=_BY_ID, reverse=True)
    return Loaded(checkpoints, segments, [value for loaded in checkpoints for value in loaded.all_values] if segments.remote else [])


def _laid_out(row: ChannelRow | WriteRow, segments: SegmentSet) -> StoredValue:
    layout = stored.parsed_layout(row)
    if layout is not None:
        if segments.from_cache:
            segments.add_cached(layout)
        stored.check_length(row, layout, segments)
    return StoredValue(row.type, row.literal, layout, segments)


def _checkpoint(row: CheckpointRow, values: _Values, writes: _Writes) -> LoadedCheckpoint:
    key = CheckpointKey(row.thread_id, row.checkpoint_ns, row.checkpoint_id)
    versions = stored.parsed_object(key, "channel_versions", row.channel_versions)
    # Only whether it was found: the parent's row may itself be altered.
    parent_id = None if row.visible_parent_id is None else row.parent_checkpoint_id
    loaded = LoadedCheckpoint(key, parent_id, row.format, Value(row.type, row.body), versions, row.metadata)
    for channel, version in versions.items():
        if version is not None and (value := values.get((row.thread_id, row.checkpoint_ns, channel, version))) is not None:
            loaded.values[channel] = value
    if row.value_count is not None and len(loaded.values) < row.value_count:
        stored.refuse_incomplete(row, len(loaded.values))
    loaded.writes = list(writes.get((KIND_WRITE, key), {}).values())
    if row.parent_checkpoint_id is not None:
        parent = CheckpointKey(row.thread_id, row.checkpoint_ns, row.parent_checkpoint_id)
        loaded.parent_sends = list(writes.get((KIND_PARENT_SEND, parent), {}).values())
    return loaded


def _writes_by_checkpoint(rows: Iterable[WriteRow], segments: SegmentSet) -> _Writes:
    found: dict[tuple[int, CheckpointKey], dict[tuple[str, int], LoadedWrite]] = {}
    for row in sorted(rows, key=_WRITE_ORDER):
        key = CheckpointKey(row.thread_id, row.checkpoint_ns, row.checkpoint_id)
        value = Value(row.type, row.literal or b"") if row.layout is None else _laid_out(row, segments)
        write = LoadedWrite(row.task_path, row.task_id, row.idx, row.channel, value)
        # By task and index: two checkpoints of one page may share a parent, whose writes then come twice.
        found.setdefault((row.kind, key), {})[row.task_id, row.idx] = write
    return found
