"""Reading whole checkpoints: one of them, a page of them, and what one channel was given on the way to one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Connection

from ckptstore import statements as sql
from ckptstore.engine import snapshot
from ckptstore.prepared import StatementCache
from ckptstore.records import (
    ChannelHistory,
    CheckpointKey,
    Layout,
    LoadedCheckpoint,
    LoadedSegment,
    LoadedWrite,
    Posting,
    SerialisedValue,
    Value,
)
from ckptstore.segments import digests_of, joined, unpacked

T = TypeVar("T")

# Beyond this many postings a tag counts as common: exact counts of common tags would cost more than they save.
_COUNT_BOUND = 2_000
_WALK_PAGE = 256


@dataclass(frozen=True, slots=True)
class Search:
    """Which checkpoints a listing is about; what is None does not restrict it."""

    thread_id: str | None = None
    checkpoint_ns: str | None = None
    checkpoint_id: str | None = None
    #: Only ids below this one.
    before: str | None = None
    #: Postings that every checkpoint must have.
    postings: tuple[Posting, ...] = ()


class Pieces:
    """The segments of what is being read, by digest: content is the same whichever thread's it is."""

    def __init__(self) -> None:
        #: Whole and checked.
        self.local: dict[str, bytes] = {}
        #: To be fetched.
        self.remote: dict[str, LoadedSegment] = {}
        #: What segments that name segments name.
        self.lists: dict[str, list[str]] = {}

    def add(self, segment: LoadedSegment) -> None:
        """Take a segment in; raises BlobCorrupt where its bytes are not what its digest says."""
        if segment.data is None:
            self.remote[segment.digest] = segment
            return
        data = unpacked(segment.digest, segment.size, segment.encoding, segment.data)
        if segment.encoding == "list":
            self.lists[segment.digest] = json.loads(data)
        else:
            self.local[segment.digest] = data

    def flat(self, layout: Layout) -> Layout:
        """A layout with every list replaced by what it names."""
        if self.lists.keys().isdisjoint(layout):
            return layout
        return [part for entry in layout for part in (self.lists.get(entry, [entry]) if isinstance(entry, str) else [entry])]


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A value whose parts are in `pieces`, or will be once they were loaded and fetched."""

    type: str
    literal: bytes | None
    layout: Layout | None
    pieces: Pieces

    @classmethod
    def of(cls, pieces: Pieces, type_: str, literal: bytes | None, layout: str | None) -> StoredValue:
        """A value from its columns."""
        return cls(type_, literal, None if layout is None else json.loads(layout), pieces)

    @property
    def data(self) -> bytes:
        """The serialised value, whole.

        Raises:
            BlobMissing: one of its segments is not there.
        """
        layout = None if self.layout is None else self.pieces.flat(self.layout)
        return joined(self.literal or b"", layout, self.pieces.local)

    @property
    def digests(self) -> Iterable[str]:
        """The segments that it is made of, as far as they were loaded."""
        return digests_of(self.pieces.flat(self.layout or ()))


class Loaded(NamedTuple, Generic[T]):
    """What was read, and the segments that its values lack: to be fetched into `pieces.local` before a value is used."""

    result: T
    pieces: Pieces
    #: Of `pieces.remote`, those that values are made of, not only refer to.
    wanted: Sequence[LoadedSegment]


def load_newest(connection: Connection, thread_id: str, checkpoint_ns: str, prepared: StatementCache) -> Loaded[list[LoadedCheckpoint]]:
    """The newest checkpoint of a namespace, or none."""
    return _assemble(prepared(sql.newest_whole).run(connection, {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns}))


def load_exact(connection: Connection, key: CheckpointKey, prepared: StatementCache) -> Loaded[list[LoadedCheckpoint]]:
    """One checkpoint, or none."""
    return _assemble(prepared(sql.exact_whole).run(connection, key._asdict()))


def load_page(
    connection: Connection, search: Search, after: CheckpointKey | None, page_size: int, prepared: StatementCache
) -> Loaded[list[LoadedCheckpoint]]:
    """Up to `page_size` checkpoints after a key, newest first: one statement, and a count for each of several tags."""
    ordered, leads = _rarest_first(connection, search, prepared)
    parameters: dict[str, Any] = {"page_size": page_size}
    for name in ("thread_id", "checkpoint_ns", "checkpoint_id", "before"):
        if getattr(search, name) is not None:
            parameters[name] = getattr(search, name)
    given = set(parameters) - {"page_size"}
    if leads:
        given.add("driver")
    for number, posting in enumerate(ordered):
        parameters |= {f"key_{number}": posting.key, f"value_{number}": posting.value}
    if after is not None:
        given.add("after")
        parameters |= {f"after_{name}": value for name, value in after._asdict().items()}
    statement = prepared(sql.page_whole, frozenset(given), len(ordered))
    return _assemble(statement.run(connection, parameters))


def _rarest_first(connection: Connection, search: Search, prepared: StatementCache) -> tuple[list[Posting], bool]:
    """The postings, rarest first, and whether the rarest leads the search (else the thread's checkpoints do)."""
    if not search.postings or search.checkpoint_id is not None:
        return list(search.postings), False
    if len(search.postings) == 1 and search.thread_id is None:
        return list(search.postings), True

    def count(statement: Any, **named: str) -> int:
        return int(prepared(statement).run(connection, {**named, "bound": _COUNT_BOUND}).scalar_one())

    counts = {posting: count(sql.count_of_tag, **posting._asdict()) for posting in search.postings}
    ordered = sorted(search.postings, key=lambda posting: counts[posting])
    if search.thread_id is None:
        return ordered, True
    return ordered, counts[ordered[0]] < count(sql.count_of_thread, thread_id=search.thread_id)


def _assemble(rows: Iterable[Sequence[Any]]) -> Loaded[list[LoadedCheckpoint]]:
    """The rows of a `statements.whole`, put together, newest checkpoint first."""
    by_kind: dict[int, list[Sequence[Any]]] = {kind: [] for kind in range(5)}
    for row in rows:
        by_kind[row[0]].append(row)
    pieces = Pieces()
    for _, _, _, _, digest, object_key, _, _, size, encoding, data in by_kind[sql.KIND_SEGMENT]:
        pieces.add(LoadedSegment(digest, object_key, size, encoding, data))
    checkpoints = [_checkpoint(row) for row in by_kind[sql.KIND_CHECKPOINT]]
    checkpoints.sort(key=lambda loaded: (loaded.key.checkpoint_id, loaded.key.thread_id, loaded.key.checkpoint_ns), reverse=True)
    values = {(row[1], row[2], row[4], row[5]): StoredValue.of(pieces, row[9], row[10], row[7]) for row in by_kind[sql.KIND_CHANNEL]}
    writes = _writes_by_checkpoint(by_kind[sql.KIND_WRITE], pieces)
    sends = _writes_by_checkpoint(by_kind[sql.KIND_PARENT_SEND], pieces)
    for loaded in checkpoints:
        thread_id, checkpoint_ns, _ = loaded.key
        for channel, version in loaded.channel_versions.items():
            value = values.get((thread_id, checkpoint_ns, channel, version))
            if value is not None:
                loaded.values[channel] = value
        loaded.writes = writes.get(loaded.key, [])
        if loaded.parent_checkpoint_id is not None:
            loaded.parent_sends = sends.get(CheckpointKey(thread_id, checkpoint_ns, loaded.parent_checkpoint_id), [])
    stored = [*values.values(), *(write.value for group in (writes, sends) for some in group.values() for write in some)]
    return _loaded(checkpoints, pieces, stored)


def _loaded(result: T, pieces: Pieces, values: Iterable[SerialisedValue]) -> Loaded[T]:
    wanted = {digest for value in values if isinstance(value, StoredValue) for digest in value.digests} if pieces.remote else ()
    return Loaded(result, pieces, [segment for digest, segment in pieces.remote.items() if digest in wanted])


def _checkpoint(row: Sequence[Any]) -> LoadedCheckpoint:
    _, thread_id, checkpoint_ns, checkpoint_id, parent, versions, metadata, _, format_, type_, body = row
    return LoadedCheckpoint(
        CheckpointKey(thread_id, checkpoint_ns, checkpoint_id), parent, format_, Value(type_, body), json.loads(versions), metadata
    )


def _writes_by_checkpoint(rows: Iterable[Sequence[Any]], pieces: Pieces) -> dict[CheckpointKey, list[LoadedWrite]]:
    found: dict[CheckpointKey, dict[tuple[str, str, int], LoadedWrite]] = {}
    for _, thread_id, checkpoint_ns, checkpoint_id, task_id, channel, task_path, layout, idx, type_, literal in rows:
        # By key, since two checkpoints of one page may share a parent, whose writes then come twice.
        write = LoadedWrite(task_path, task_id, idx, channel, StoredValue.of(pieces, type_, literal, layout))
        found.setdefault(CheckpointKey(thread_id, checkpoint_ns, checkpoint_id), {})[task_path, task_id, idx] = write
    return {key: [writes[place] for place in sorted(writes)] for key, writes in found.items()}


def load_history(
    connection: Connection,
    thread_id: str,
    checkpoint_ns: str,
    checkpoint_id: str | None,
    channels: Sequence[str],
    prepared: StatementCache,
) -> Loaded[dict[str, ChannelHistory]]:
    """For each channel: its writes at the ancestors of a checkpoint, back to the nearest one that stored a value.

    The ancestors are found by parent links, since ids alone do not tell a fork's own past. The writes at the ancestor
    with the stored value count: they came after it.
    """
    with snapshot(connection):
        walk = _Walk(connection, thread_id, checkpoint_ns, channels, prepared)
        target = checkpoint_id or walk.newest_id()
        if target is not None:
            walk.run(target)
        return walk.loaded()


class _Walk:
    """One walk back from a checkpoint, a page of ancestors at a time."""

    def __init__(
        self, connection: Connection, thread_id: str, checkpoint_ns: str, channels: Sequence[str], prepared: StatementCache
    ) -> None:
        self._connection = connection
        self._place = {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns}
        self._prepared = prepared
        self._database = prepared.dialect.name
        self._remaining = set(channels)
        #: channel -> ids of the ancestors whose writes count, newest first.
        self._chains: dict[str, list[str]] = {channel: [] for channel in channels}
        self._seeds: dict[str, str] = {}

    def newest_id(self) -> str | None:
        found: str | None = self._prepared(sql.newest_id).run(self._connection, self._place).scalar_one()
        return found

    def run(self, target: str) -> None:
        visited = {target}
        cursor: str | None = target
        first = True
        while cursor is not None and self._remaining:
            parameters = {**self._place, "checkpoint_id": cursor, "page_size": _WALK_PAGE}
            page = {row[0]: (row[1], json.loads(row[2])) for row in self._prepared(sql.ancestors).run(self._connection, parameters)}
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

    def _stored(self, versions: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        keys = {(*self._place.values(), *version) for version in versions if version[0] in self._remaining}
        parameters = sql.key_parameters(self._database, sql.VERSION_KEY, keys)
        return {(row[0], row[1]) for row in self._prepared(sql.stored_among).run(self._connection, parameters)} if keys else set()

    def _visit(self, checkpoint_id: str, versions: Mapping[str, str], stored: set[tuple[str, str]]) -> None:
        for channel in list(self._remaining):
            self._chains[channel].append(checkpoint_id)
            version = versions.get(channel)
            if version is not None and (channel, version) in stored:
                self._seeds[channel] = version
                self._remaining.discard(channel)

    def loaded(self) -> Loaded[dict[str, ChannelHistory]]:
        pieces = Pieces()
        writes = self._writes(pieces)
        seeds = self._seed_values(pieces)
        values = [*seeds.values(), *(write.value for some in writes.values() for write in some)]
        digests = {digest for value in values if isinstance(value, StoredValue) for digest in value.digests}
        self._load_segments(pieces, digests)
        self._load_segments(pieces, {digest for named in pieces.lists.values() for digest in named} - digests)
        histories = {
            channel: ChannelHistory([write for place in reversed(chain) for write in writes.get((place, channel), [])], seeds.get(channel))
            for channel, chain in self._chains.items()
        }
        return _loaded(histories, pieces, values)

    def _load_segments(self, pieces: Pieces, digests: Iterable[str]) -> None:
        keys = [(self._place["thread_id"], digest) for digest in digests]
        parameters = sql.key_parameters(self._database, sql.SEGMENT_KEY, keys)
        for row in self._prepared(sql.segments).run(self._connection, parameters) if keys else ():
            pieces.add(LoadedSegment(*row))

    def _writes(self, pieces: Pieces) -> dict[tuple[str, str], list[LoadedWrite]]:
        keys = [(*self._place.values(), place, channel) for channel, chain in self._chains.items() for place in chain]
        parameters = sql.key_parameters(self._database, sql.CHANNEL_WRITES_KEY, keys)
        found: dict[tuple[str, str], list[LoadedWrite]] = {}
        for place, path, task_id, idx, channel, *value in (
            self._prepared(sql.channel_writes).run(self._connection, parameters) if keys else ()
        ):
            found.setdefault((place, channel), []).append(LoadedWrite(path, task_id, idx, channel, StoredValue.of(pieces, *value)))
        for writes in found.values():
            writes.sort(key=lambda write: (write.task_path, write.task_id, write.idx))
        return found

    def _seed_values(self, pieces: Pieces) -> dict[str, StoredValue]:
        keys = [(*self._place.values(), *seed) for seed in self._seeds.items()]
        parameters = sql.key_parameters(self._database, sql.VERSION_KEY, keys)
        rows = self._prepared(sql.channel_values).run(self._connection, parameters) if keys else ()
        return {channel: StoredValue.of(pieces, *value) for channel, *value in rows}
