"""Load the writes from which a delta channel is rebuilt at a checkpoint, by a walk through the checkpoint's ancestors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.reads import rows as stored
from ckptstore.reads.row_checks import altered, refuse
from ckptstore.reads.rows import ChannelRow, CheckpointRow, WriteRow
from ckptstore.records import ChannelHistory, Layout, LoadedSegment, LoadedWrite, Value
from ckptstore.values.cache import MemoryCache
from ckptstore.values.decode import Loaded, SegmentSet, StoredValue

_ANCESTORS_PAGE_SIZE = 256
_WRITE_ORDER = attrgetter("task_path", "task_id", "idx")


def load_history(
    db: Db,
    thread_id: str,
    checkpoint_ns: str,
    checkpoint_id: str | None,
    channels: Sequence[str],
    cache: MemoryCache,
) -> Loaded[Mapping[str, ChannelHistory]]:
    """For each channel: its writes at the ancestors of a checkpoint, back to the nearest ancestor that stored a value.

    Ancestors are found by parent links, because ids alone don't distinguish the branches of a fork. The writes at the ancestor
    with the stored value are included: they were made after it.
    """
    with db.snapshot():
        walk = _Walk(db, thread_id, checkpoint_ns, channels)
        target = checkpoint_id or walk.newest_id()
        if target is not None:
            walk.run(target)
        return walk.load(SegmentSet(cache))


class _Ancestor(NamedTuple):
    """A checkpoint of the walk."""

    parent_checkpoint_id: str | None
    #: None for a version whose value is in the checkpoint's body.
    versions: Mapping[str, str | None]
    body: Value


class _Walk:
    """One walk from a checkpoint back through its ancestors, a page of ancestors at a time."""

    def __init__(self, db: Db, thread_id: str, checkpoint_ns: str, channels: Sequence[str]) -> None:
        self._db = db
        self._namespace = (thread_id, checkpoint_ns)
        self._parameters = {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns}
        self._remaining = set(channels)
        #: Channel -> ids of the ancestors whose writes are needed, newest first.
        self._chains: dict[str, list[str]] = {channel: [] for channel in channels}
        #: Channel -> version of the stored value from which it is rebuilt.
        self._seed_versions: dict[str, str] = {}
        #: Channel -> the body of the checkpoint that has that value in it.
        self._seed_bodies: dict[str, Value] = {}
        #: The rows of the values whose layouts are to be checked once their segments are known.
        self._laid_out: list[tuple[ChannelRow | WriteRow, Layout]] = []

    def newest_id(self) -> str | None:
        """The id of the namespace's newest checkpoint."""
        found: str | None = self._db.run(sql.checkpoints.newest_id, self._parameters).scalar_one()
        return found

    def run(self, target: str) -> None:
        """Walk until every channel has a stored value, or no ancestor is left."""
        visited = {target}
        cursor: str | None = target
        while cursor is not None and self._remaining:
            page = self._ancestors(cursor)
            found = self._stored_versions(page.values())
            if cursor == target:
                # The target itself is left out: its writes belong to its children's state.
                cursor = page[target].parent_checkpoint_id if target in page else None
            while cursor is not None and cursor in page and cursor not in visited and self._remaining:
                visited.add(cursor)
                self._visit(cursor, page[cursor], found)
                cursor = page[cursor].parent_checkpoint_id
            if cursor in visited or (cursor not in page and len(page) < _ANCESTORS_PAGE_SIZE):
                return

    def _ancestors(self, checkpoint_id: str) -> dict[str, _Ancestor]:
        """A checkpoint and its next ancestors, by id."""
        parameters = {**self._parameters, "checkpoint_id": checkpoint_id, "page_size": _ANCESTORS_PAGE_SIZE}
        rows = [CheckpointRow(*row) for row in self._db.run(sql.checkpoints.ancestors, parameters)]
        if wrong := altered(rows):
            refuse(wrong[0])
        return {
            row.checkpoint_id: _Ancestor(
                row.parent_checkpoint_id, stored.parsed_versions(row.key, row.channel_versions), Value(row.type, row.body)
            )
            for row in rows
        }

    def _stored_versions(self, ancestors: Iterable[_Ancestor]) -> set[tuple[str, str]]:
        """The (channel, version) pairs of some ancestors that have a stored value."""
        keys = {
            (*self._namespace, channel, version)
            for ancestor in ancestors
            for channel, version in ancestor.versions.items()
            if channel in self._remaining and version is not None
        }
        parameters = self._db.key_parameters(sql.tables.VERSION_KEY, keys)
        return {(channel, version) for channel, version in self._db.run(sql.checkpoints.stored_among, parameters)} if keys else set()

    def _visit(self, checkpoint_id: str, ancestor: _Ancestor, stored_versions: set[tuple[str, str]]) -> None:
        versions = ancestor.versions
        for channel in list(self._remaining):
            self._chains[channel].append(checkpoint_id)
            if channel not in versions:
                continue
            version = versions[channel]
            if version is None:
                self._seed_bodies[channel] = ancestor.body
            elif (channel, version) in stored_versions:
                self._seed_versions[channel] = version
            else:
                continue
            self._remaining.discard(channel)

    def load(self, segments: SegmentSet) -> Loaded[Mapping[str, ChannelHistory]]:
        """Load the writes and stored values that the walk found, with their segments."""
        writes = self._writes(segments)
        seeds = self._seeds(segments)
        values = [*seeds.values(), *(write.value for found in writes.values() for write in found)]
        digests = {digest for value in values if isinstance(value, StoredValue) for digest in value.digests}
        self._load_segments(segments, digests)
        self._load_segments(segments, {digest for named in segments.lists.values() for digest in named} - digests)
        for row, layout in self._laid_out:
            stored.check_length(row, layout, segments)
        segments.decompress()
        histories = {
            channel: ChannelHistory(
                [write for checkpoint_id in reversed(chain) for write in writes.get((checkpoint_id, channel), [])],
                seeds.get(channel),
                self._seed_bodies.get(channel),
            )
            for channel, chain in self._chains.items()
        }
        return Loaded(histories, segments, values)

    def _load_segments(self, segments: SegmentSet, digests: Iterable[str]) -> None:
        thread_id, _ = self._namespace
        keys = [(thread_id, digest) for digest in digests]
        parameters = self._db.key_parameters(sql.tables.SEGMENT_KEY, keys)
        for row in self._db.run(sql.checkpoints.segments, parameters) if keys else ():
            segments.add(LoadedSegment(*row))

    def _writes(self, segments: SegmentSet) -> dict[tuple[str, str], list[LoadedWrite]]:
        """The needed writes, by checkpoint and channel."""
        keys = [(*self._namespace, checkpoint_id, channel) for channel, chain in self._chains.items() for checkpoint_id in chain]
        parameters = self._db.key_parameters(sql.tables.CHANNEL_WRITES_KEY, keys)
        rows = [WriteRow(*row) for row in self._db.run(sql.checkpoints.channel_writes, parameters)] if keys else []
        if wrong := altered(rows):
            refuse(wrong[0])
        found: dict[tuple[str, str], list[LoadedWrite]] = {}
        for row in sorted(rows, key=_WRITE_ORDER):
            write = LoadedWrite(row.task_path, row.task_id, row.idx, row.channel, self._value(row, segments))
            found.setdefault((row.checkpoint_id, row.channel), []).append(write)
        return found

    def _seeds(self, segments: SegmentSet) -> dict[str, StoredValue]:
        """The stored values from which channels are rebuilt, by channel."""
        keys = [(*self._namespace, *seed) for seed in self._seed_versions.items()]
        parameters = self._db.key_parameters(sql.tables.VERSION_KEY, keys)
        rows = [ChannelRow(*row) for row in self._db.run(sql.checkpoints.channel_values, parameters)] if keys else []
        if wrong := altered(rows):
            refuse(wrong[0])
        return {row.channel: self._value(row, segments) for row in rows}

    def _value(self, row: ChannelRow | WriteRow, segments: SegmentSet) -> StoredValue:
        layout = stored.parsed_layout(row)
        if layout is not None:
            self._laid_out.append((row, layout))
        return StoredValue(row.type, row.literal, layout, segments)
