"""Reading whole checkpoints: one of them, a page of them, and what one channel was given on the way to one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from ckptstore import statements as sql
from ckptstore.engine import snapshot
from ckptstore.prepared import StatementCache
from ckptstore.records import ChannelHistory, CheckpointKey, LoadedCheckpoint, LoadedWrite, Posting, Value

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


def load_newest(connection: Connection, thread_id: str, checkpoint_ns: str, prepared: StatementCache) -> LoadedCheckpoint | None:
    """The newest checkpoint of a namespace, or None."""
    rows = prepared(sql.newest_whole).run(connection, {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns})
    return next(iter(_assemble(rows)), None)


def load_exact(connection: Connection, key: CheckpointKey, prepared: StatementCache) -> LoadedCheckpoint | None:
    """One checkpoint, or None."""
    return next(iter(_assemble(prepared(sql.exact_whole).run(connection, key._asdict()))), None)


def load_page(
    connection: Connection, search: Search, after: CheckpointKey | None, page_size: int, prepared: StatementCache
) -> list[LoadedCheckpoint]:
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


def _assemble(rows: Iterable[Sequence[Any]]) -> list[LoadedCheckpoint]:
    """The rows of a `statements.whole`, put together, newest checkpoint first."""
    by_kind: dict[int, list[Sequence[Any]]] = {kind: [] for kind in range(4)}
    for row in rows:
        by_kind[row[0]].append(row)
    checkpoints = [_checkpoint(row) for row in by_kind[sql.KIND_CHECKPOINT]]
    checkpoints.sort(key=lambda loaded: (loaded.key.checkpoint_id, loaded.key.thread_id, loaded.key.checkpoint_ns), reverse=True)
    values = {(row[1], row[2], row[4], row[5]): Value(row[8], row[9]) for row in by_kind[sql.KIND_CHANNEL]}
    writes = _writes_by_checkpoint(by_kind[sql.KIND_WRITE])
    sends = _writes_by_checkpoint(by_kind[sql.KIND_PARENT_SEND])
    for loaded in checkpoints:
        thread_id, checkpoint_ns, _ = loaded.key
        for channel, version in loaded.channel_versions.items():
            value = values.get((thread_id, checkpoint_ns, channel, version))
            if value is not None:
                loaded.values[channel] = value
        loaded.writes = writes.get(loaded.key, [])
        if loaded.parent_checkpoint_id is not None:
            loaded.parent_sends = sends.get(CheckpointKey(thread_id, checkpoint_ns, loaded.parent_checkpoint_id), [])
    return checkpoints


def _checkpoint(row: Sequence[Any]) -> LoadedCheckpoint:
    _, thread_id, checkpoint_ns, checkpoint_id, parent, versions, metadata, format_, type_, body = row
    return LoadedCheckpoint(
        CheckpointKey(thread_id, checkpoint_ns, checkpoint_id), parent, format_, Value(type_, body), json.loads(versions), metadata
    )


def _writes_by_checkpoint(rows: Iterable[Sequence[Any]]) -> dict[CheckpointKey, list[LoadedWrite]]:
    found: dict[CheckpointKey, dict[tuple[str, str, int], LoadedWrite]] = {}
    for _, thread_id, checkpoint_ns, checkpoint_id, task_id, channel, task_path, idx, type_, data in rows:
        # By key, since two checkpoints of one page may share a parent, whose writes then come twice.
        write = LoadedWrite(task_path, task_id, idx, channel, Value(type_, data))
        found.setdefault(CheckpointKey(thread_id, checkpoint_ns, checkpoint_id), {})[task_path, task_id, idx] = write
    return {key: [writes[place] for place in sorted(writes)] for key, writes in found.items()}


def load_history(
    connection: Connection,
    thread_id: str,
    checkpoint_ns: str,
    checkpoint_id: str | None,
    channels: Sequence[str],
    prepared: StatementCache,
) -> Mapping[str, ChannelHistory]:
    """For each channel: its writes at the ancestors of a checkpoint, back to the nearest one that stored a value.

    The ancestors are found by parent links, since ids alone do not tell a fork's own past. The writes at the ancestor
    with the stored value count: they came after it.
    """
    with snapshot(connection):
        walk = _Walk(connection, thread_id, checkpoint_ns, channels, prepared)
        target = checkpoint_id or walk.newest_id()
        if target is not None:
            walk.run(target)
        return walk.histories()


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

    def histories(self) -> dict[str, ChannelHistory]:
        writes = self._writes()
        seeds = self._seed_values()
        return {
            channel: ChannelHistory([write for place in reversed(chain) for write in writes.get((place, channel), [])], seeds.get(channel))
            for channel, chain in self._chains.items()
        }

    def _writes(self) -> dict[tuple[str, str], list[LoadedWrite]]:
        keys = [(*self._place.values(), place, channel) for channel, chain in self._chains.items() for place in chain]
        parameters = sql.key_parameters(self._database, sql.CHANNEL_WRITES_KEY, keys)
        found: dict[tuple[str, str], list[LoadedWrite]] = {}
        for place, path, task_id, idx, channel, type_, data in (
            self._prepared(sql.channel_writes).run(self._connection, parameters) if keys else ()
        ):
            found.setdefault((place, channel), []).append(LoadedWrite(path, task_id, idx, channel, Value(type_, data)))
        for writes in found.values():
            writes.sort(key=lambda write: (write.task_path, write.task_id, write.idx))
        return found

    def _seed_values(self) -> dict[str, Value]:
        keys = [(*self._place.values(), *seed) for seed in self._seeds.items()]
        parameters = sql.key_parameters(self._database, sql.VERSION_KEY, keys)
        rows = self._prepared(sql.channel_values).run(self._connection, parameters) if keys else ()
        return {channel: Value(type_, data) for channel, _version, type_, data in rows}
