"""Reading whole checkpoints: one of them, or a page of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from ckptstore import statements as sql
from ckptstore.cache import MemoryCache
from ckptstore.pieces import Loaded, Pieces, StoredValue
from ckptstore.prepared import StatementCache
from ckptstore.records import (
    CheckpointKey,
    LoadedCheckpoint,
    LoadedSegment,
    LoadedWrite,
    Posting,
    Value,
)

# Beyond this many postings a tag counts as common: exact counts of common tags would cost more than they save.
_COUNT_BOUND = 2_000


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


def load_newest(
    connection: Connection, thread_id: str, checkpoint_ns: str, prepared: StatementCache, cache: MemoryCache
) -> Loaded[list[LoadedCheckpoint]]:
    """The newest checkpoint of a namespace, or none."""
    return _assemble(prepared(sql.newest_whole).run(connection, {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns}), Pieces(cache))


def load_exact(connection: Connection, key: CheckpointKey, prepared: StatementCache, cache: MemoryCache) -> Loaded[list[LoadedCheckpoint]]:
    """One checkpoint, or none."""
    return _assemble(prepared(sql.exact_whole).run(connection, key._asdict()), Pieces(cache))


def load_page(
    connection: Connection, search: Search, after: CheckpointKey | None, page_size: int, prepared: StatementCache, cache: MemoryCache
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
    return _assemble(statement.run(connection, parameters), Pieces(cache))


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


def _assemble(rows: Iterable[Sequence[Any]], pieces: Pieces) -> Loaded[list[LoadedCheckpoint]]:
    """The rows of a `statements.whole`, put together, newest checkpoint first."""
    by_kind: dict[int, list[Sequence[Any]]] = {kind: [] for kind in range(5)}
    for row in rows:
        by_kind[row[0]].append(row)
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
    return Loaded(checkpoints, pieces, [value for loaded in checkpoints for value in loaded.serialised])


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
