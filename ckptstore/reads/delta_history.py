"""What a channel was given on the way to a checkpoint: the walk back through a thread."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from ckptstore.db import sql
from ckptstore.db.handle import Db
from ckptstore.records import ChannelHistory, LoadedSegment, LoadedWrite, Value
from ckptstore.values.cache import MemoryCache
from ckptstore.values.decode import Loaded, SegmentSet, StoredValue

_WALK_PAGE = 256


def load_history(
    db: Db,
    thread_id: str,
    checkpoint_ns: str,
    checkpoint_id: str | None,
    channels: Sequence[str],
    cache: MemoryCache,
) -> Loaded[Mapping[str, ChannelHistory]]:
    """For each channel: its writes at the ancestors of a checkpoint, back to the nearest one that stored a value.

    The ancestors are found by parent links, since ids alone do not tell a fork's own past. The writes at the ancestor
    with the stored value count: they came after it.
    """
    with db.snapshot():
        walk = _Walk(db, thread_id, checkpoint_ns, channels)
        target = checkpoint_id or walk.newest_id()
        if target is not None:
            walk.run(target)
        return walk.loaded(SegmentSet(cache))


class _Walk:
    """One walk back from a checkpoint, a page of ancestors at a time."""

    def __init__(
        self,
        db: Db,
        thread_id: str,
        checkpoint_ns: str,
        channels: Sequence[str],
    ) -> None:
        self._db = db
        self._place = {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns}
        self._remaining = set(channels)
        #: channel -> ids of the ancestors whose writes count, newest first.
        self._chains: dict[str, list[str]] = {channel: [] for channel in channels}
        #: channel -> version of the stored value that it is rebuilt from, or the checkpoint whose body has that value.
        self._seeds: dict[str, str] = {}
        self._seeded_by: dict[str, str] = {}

    def newest_id(self) -> str | None:
        found: str | None = self._db.run(sql.checkpoints.newest_id, self._place).scalar_one()
        return found

    def run(self, target: str) -> None:
        visited = {target}
        cursor: str | None = target
        first = True
        while cursor is not None and self._remaining:
            parameters = {**self._place, "checkpoint_id": cursor, "page_size": _WALK_PAGE}
            page = {row[0]: (row[1], json.loads(row[2])) for row in self._db.run(sql.checkpoints.ancestors, parameters)}
            stored = self._stored(version for _, versions in page.values() for version in versions.items())
            if first:
                cursor, first = page[target][0] if target in page else None, False
            while cursor is not None and cursor in page and cursor not in visited and self._remaining:
                visited.add(cursor)
                parent, versions = page[cursor]
                self._visit(cursor, versions, stored)
                cursor = parent
            if cursor in visited or (cursor not in page and len(page) < _WALK_PAGE):
                return

    def _stored(self, versions: Iterable[tuple[str, str | None]]) -> set[tuple[str, str]]:
        keys = {
            (*self._place.values(), channel, version) for channel, version in versions if channel in self._remaining and version is not None
        }
        parameters = self._db.key_parameters(sql.tables.VERSION_KEY, keys)
        return {(row[0], row[1]) for row in self._db.run(sql.checkpoints.stored_among, parameters)} if keys else set()

    def _visit(self, checkpoint_id: str, versions: Mapping[str, str | None], stored: set[tuple[str, str]]) -> None:
        for channel in list(self._remaining):
            self._chains[channel].append(checkpoint_id)
            if channel not in versions:
                continue
            version = versions[channel]
            if version is None:
                self._seeded_by[channel] = checkpoint_id
            elif (channel, version) in stored:
                self._seeds[channel] = version
            else:
                continue
            self._remaining.discard(channel)

    def loaded(self, segments: SegmentSet) -> Loaded[Mapping[str, ChannelHistory]]:
        writes = self._writes(segments)
        seeds = self._seed_values(segments)
        values = [*seeds.values(), *(write.value for some in writes.values() for write in some)]
        digests = {digest for value in values if isinstance(value, StoredValue) for digest in value.digests}
        self._load_segments(segments, digests)
        self._load_segments(segments, {digest for named in segments.lists.values() for digest in named} - digests)
        bodies = {checkpoint_id: self._body(checkpoint_id) for checkpoint_id in set(self._seeded_by.values())}
        histories = {
            channel: ChannelHistory(
                [write for place in reversed(chain) for write in writes.get((place, channel), [])],
                seeds.get(channel),
                bodies.get(self._seeded_by.get(channel, "")),
            )
            for channel, chain in self._chains.items()
        }
        return Loaded(histories, segments, values)

    def _body(self, checkpoint_id: str) -> Value:
        ((type_, body),) = self._db.run(sql.checkpoints.body_of, {**self._place, "checkpoint_id": checkpoint_id})
        return Value(type_, body)

    def _load_segments(self, segments: SegmentSet, digests: Iterable[str]) -> None:
        keys = [(self._place["thread_id"], digest) for digest in digests]
        parameters = self._db.key_parameters(sql.tables.SEGMENT_KEY, keys)
        for row in self._db.run(sql.checkpoints.segments, parameters) if keys else ():
            segments.add(LoadedSegment(*row))

    def _writes(self, segments: SegmentSet) -> dict[tuple[str, str], list[LoadedWrite]]:
        keys = [(*self._place.values(), place, channel) for channel, chain in self._chains.items() for place in chain]
        parameters = self._db.key_parameters(sql.tables.CHANNEL_WRITES_KEY, keys)
        found: dict[tuple[str, str], list[LoadedWrite]] = {}
        for place, path, task_id, idx, channel, *value in self._db.run(sql.checkpoints.channel_writes, parameters) if keys else ():
            found.setdefault((place, channel), []).append(LoadedWrite(path, task_id, idx, channel, StoredValue.from_row(segments, *value)))
        for writes in found.values():
            writes.sort(key=lambda write: (write.task_path, write.task_id, write.idx))
        return found

    def _seed_values(self, segments: SegmentSet) -> dict[str, StoredValue]:
        keys = [(*self._place.values(), *seed) for seed in self._seeds.items()]
        parameters = self._db.key_parameters(sql.tables.VERSION_KEY, keys)
        rows = self._db.run(sql.checkpoints.channel_values, parameters) if keys else ()
        return {channel: StoredValue.from_row(segments, *value) for channel, *value in rows}
