"""Reading whole checkpoints: one of them, or a page of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ckptstore.db import sql
from ckptstore.db.handle import Db
from ckptstore.reads.planner import CheckpointQuery, PagePlan, plan_page
from ckptstore.records import (
    CheckpointKey,
    LoadedCheckpoint,
    LoadedSegment,
    LoadedWrite,
    StateFormat,
    Value,
)
from ckptstore.values.cache import MemoryCache
from ckptstore.values.decode import Loaded, SegmentSet, StoredValue

# Of what the index can't decide, so much is looked through in one go: a reader of the database is not kept for long.
_LOOKED_AT = 500
_LOOKS = 8


class Page(NamedTuple):
    """Some checkpoints of a listing, without what objects hold."""

    checkpoints: list[LoadedCheckpoint]
    segments: SegmentSet
    #: The last checkpoint that was looked at.
    last: CheckpointKey | None
    #: Whether there may be more after it.
    more: bool


def load_newest(
    db: Db, thread_id: str, checkpoint_ns: str, state_format: StateFormat, cache: MemoryCache
) -> Loaded[list[LoadedCheckpoint]]:
    """The newest checkpoint of a namespace, or none."""
    rows = db.run(sql.checkpoints.newest_whole, {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns}, state_format)
    return _assemble(rows, SegmentSet(cache))


def load_exact(db: Db, key: CheckpointKey, state_format: StateFormat, cache: MemoryCache) -> Loaded[list[LoadedCheckpoint]]:
    """One checkpoint, or none."""
    return _assemble(db.run(sql.checkpoints.exact_whole, key._asdict(), state_format), SegmentSet(cache))


def load_named(db: Db, keys: Sequence[CheckpointKey], state_format: StateFormat, cache: MemoryCache) -> Loaded[list[LoadedCheckpoint]]:
    """The checkpoints with these keys, newest first; missing and hidden ones are left out."""
    parameters = db.key_parameters(sql.tables.CHECKPOINT_KEY, keys)
    return _assemble(db.run(sql.checkpoints.named_whole, parameters, state_format) if keys else (), SegmentSet(cache))


def load_page(
    db: Db, search: CheckpointQuery, after: CheckpointKey | None, size: int, state_format: StateFormat, cache: MemoryCache
) -> Page:
    """Up to `size` checkpoints after a key, newest first. There may be fewer, and yet more to come.

    The number of statements does not depend on what is found: a count for each condition that may lead, and one that brings
    the page; or, where only metadata can decide, up to `_LOOKS` that bring keys and metadata first.
    """
    if search.impossible:
        return Page([], SegmentSet(cache), after, more=False)
    how = plan_page(db, search, after)
    if not how.exact:
        return _load_matching(db, search, how, after, size, state_format, cache)
    this = how.after(after)
    rows = db.run(sql.pages.page_whole, {**this.parameters, "page_size": size}, this.shape, state_format)
    loaded = _assemble(rows, SegmentSet(cache))
    found = loaded.result
    return Page(found, loaded.segments, found[-1].key if found else after, more=len(found) == size)


def _load_matching(
    db: Db,
    search: CheckpointQuery,
    how: PagePlan,
    after: CheckpointKey | None,
    size: int,
    state_format: StateFormat,
    cache: MemoryCache,
) -> Page:
    keys: list[CheckpointKey] = []
    more = True
    for _ in range(_LOOKS):
        this = how.after(after)
        rows = db.run(sql.pages.page_metadata, {**this.parameters, "page_size": _LOOKED_AT}, this.shape).all()
        more = len(rows) == _LOOKED_AT
        for row in rows:
            after = CheckpointKey(*row[:3])
            if search.wanted.matches(json.loads(row[3])):
                keys.append(after)
            if len(keys) == size:
                more = more or row is not rows[-1]
                break
        if not more or len(keys) == size:
            break
    loaded = load_named(db, keys, state_format, cache)
    return Page(loaded.result, loaded.segments, after, more)


def _assemble(rows: Iterable[Sequence[Any]], segments: SegmentSet) -> Loaded[list[LoadedCheckpoint]]:
    """The rows of a `statements.whole`, put together, newest checkpoint first."""
    by_kind: dict[int, list[Sequence[Any]]] = {kind: [] for kind in range(5)}
    for row in rows:
        by_kind[row[0]].append(row)
    for _, _, _, _, digest, object_key, _, _, size, encoding, data in by_kind[sql.checkpoints.KIND_SEGMENT]:
        segments.add(LoadedSegment(digest, object_key, size, encoding, data))
    checkpoints = [_checkpoint(row) for row in by_kind[sql.checkpoints.KIND_CHECKPOINT]]
    checkpoints.sort(key=lambda loaded: (loaded.key.checkpoint_id, loaded.key.thread_id, loaded.key.checkpoint_ns), reverse=True)
    values = {
        (row[1], row[2], row[4], row[5]): StoredValue.from_row(segments, row[9], row[10], row[7])
        for row in by_kind[sql.checkpoints.KIND_CHANNEL]
    }
    writes = _writes_by_checkpoint(by_kind[sql.checkpoints.KIND_WRITE], segments)
    sends = _writes_by_checkpoint(by_kind[sql.checkpoints.KIND_PARENT_SEND], segments)
    for loaded in checkpoints:
        thread_id, checkpoint_ns, _ = loaded.key
        for channel, version in loaded.channel_versions.items():
            value = values.get((thread_id, checkpoint_ns, channel, version)) if version is not None else None
            if value is not None:
                loaded.values[channel] = value
        loaded.writes = writes.get(loaded.key, [])
        if loaded.parent_checkpoint_id is not None:
            loaded.parent_sends = sends.get(CheckpointKey(thread_id, checkpoint_ns, loaded.parent_checkpoint_id), [])
    return Loaded(checkpoints, segments, [value for loaded in checkpoints for value in loaded.all_values] if segments.remote else [])


def _checkpoint(row: Sequence[Any]) -> LoadedCheckpoint:
    _, thread_id, checkpoint_ns, checkpoint_id, parent, versions, metadata, _, format_, type_, body = row
    return LoadedCheckpoint(
        CheckpointKey(thread_id, checkpoint_ns, checkpoint_id), parent, format_, Value(type_, body), json.loads(versions), metadata
    )


def _writes_by_checkpoint(rows: Iterable[Sequence[Any]], segments: SegmentSet) -> dict[CheckpointKey, list[LoadedWrite]]:
    found: dict[CheckpointKey, dict[tuple[str, str, int], LoadedWrite]] = {}
    for _, thread_id, checkpoint_ns, checkpoint_id, task_id, channel, task_path, layout, idx, type_, literal in rows:
        # By key, since two checkpoints of one page may share a parent, whose writes then come twice.
        write = LoadedWrite(task_path, task_id, idx, channel, StoredValue.from_row(segments, type_, literal, layout))
        found.setdefault(CheckpointKey(thread_id, checkpoint_ns, checkpoint_id), {})[task_path, task_id, idx] = write
    return {key: [writes[place] for place in sorted(writes)] for key, writes in found.items()}
