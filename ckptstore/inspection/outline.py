"""The outline of a thread, a page at a time: its checkpoints, newest first, without their values."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql.pages import Shape
from ckptstore.db.times import from_microseconds
from ckptstore.errors import InvalidConfig, brief
from ckptstore.records import CheckpointKey, ThreadInfo
from ckptstore.runtime.steps import Steps
from ckptstore.store.store import Store
from ckptstore.tags.conditions import GREATEST_TEXT


class Parent(StrEnum):
    """What became of the checkpoint that another one continues."""

    #: It has none: a thread, or a subgraph, began here.
    NONE = "none"
    STORED = "stored"
    #: It was pruned or deleted, or has never arrived.
    MISSING = "missing"


class ChannelWrites(NamedTuple):
    """What tasks wrote to one channel at a checkpoint."""

    channel: str
    writes: int
    tasks: int
    #: Serialised.
    bytes: int


class OutlinedCheckpoint(NamedTuple):
    """A checkpoint without its values."""

    key: CheckpointKey
    #: As stored, whatever became of that checkpoint.
    parent_checkpoint_id: str | None
    parent: Parent
    created_at: datetime
    #: Serialised bytes that it added.
    size: int
    #: Empty where it can't be read.
    metadata: dict[str, Any]
    #: How many channels have a version in it.
    channels: int
    writes: Sequence[ChannelWrites]

    @property
    def parent_key(self) -> CheckpointKey | None:
        """The key of its parent, if that is stored."""
        if self.parent is not Parent.STORED or self.parent_checkpoint_id is None:
            return None
        return CheckpointKey(self.key.thread_id, self.key.checkpoint_ns, self.parent_checkpoint_id)


class ThreadPage(NamedTuple):
    """A page of a thread's outline."""

    thread: ThreadInfo
    checkpoints: Sequence[OutlinedCheckpoint]
    #: Whether there are older checkpoints.
    more: bool


class _Row(NamedTuple):
    """A row of `ckptstore.db.sql.outline.page_of_checkpoints`."""

    checkpoint_ns: str
    checkpoint_id: str
    parent_checkpoint_id: str | None
    is_parent_hidden: bool | None
    created_at: int
    size: int
    type: str
    metadata: str
    channel_versions: str


def thread_page(store: Store, thread_id: str, checkpoint_ns: str | None, before: str | None, size: int) -> Steps[ThreadPage]:
    """A page of a thread's checkpoints, newest first, in one snapshot.

    Args:
        store: the store.
        thread_id: the thread.
        checkpoint_ns: only those of this namespace; None for all.
        before: only those with smaller ids than this one.
        size: how many.

    Raises:
        InvalidConfig: there is no such thread.
    """
    return store.read(partial(_page, thread_id=thread_id, checkpoint_ns=checkpoint_ns, before=before, size=size))


def outlined_checkpoint(store: Store, key: CheckpointKey) -> Steps[OutlinedCheckpoint]:
    """One checkpoint without its values.

    Raises:
        InvalidConfig: it does not exist, or was pruned meanwhile.
    """
    return store.read(partial(_one, key=key))


def _one(db: Db, key: CheckpointKey) -> OutlinedCheckpoint:
    with db.snapshot():
        for row in db.run(sql.outline.page_of_checkpoints, {**key._asdict(), "page_size": 1}, Shape(given=frozenset(key._fields))):
            return _outlined(key.thread_id, _Row(*row), _writes(db, [key]))
    raise InvalidConfig(f"thread {key.thread_id!r} has no checkpoint {key.checkpoint_id!r} in namespace {key.checkpoint_ns!r}")


def find_checkpoint(store: Store, thread_id: str, checkpoint_ns: str | None, wanted: str | None) -> Steps[CheckpointKey]:
    """The key of a checkpoint by its id, or by so much of its beginning that no other checkpoint of the thread has it.

    Args:
        store: the store.
        thread_id: the thread.
        checkpoint_ns: its namespace; None for any, and without an id for the root graph's.
        wanted: the id or its beginning; None for the newest one of the namespace.

    Raises:
        InvalidConfig: there is no such thread or checkpoint, or several.
    """
    return store.read(partial(_find, thread_id=thread_id, checkpoint_ns=checkpoint_ns, wanted=wanted))


def _find(db: Db, thread_id: str, checkpoint_ns: str | None, wanted: str | None) -> CheckpointKey:
    with db.snapshot():
        _require_thread(db, thread_id)
        if wanted is None:
            namespace = checkpoint_ns or ""
            parameters = {"thread_id": thread_id, "checkpoint_ns": namespace}
            newest: str | None = db.run(sql.checkpoints.newest_id, parameters).scalar_one()
            if newest is None:
                raise InvalidConfig(f"thread {thread_id!r} has no checkpoint in namespace {namespace!r}; see: ckptstore threads show")
            return CheckpointKey(thread_id, namespace, newest)
        found = _with_beginning(db, thread_id, checkpoint_ns, wanted)
    if not found:
        raise InvalidConfig(f"thread {thread_id!r} has no checkpoint {brief(wanted)}; see its checkpoints: ckptstore threads show")
    if len(found) > 1:
        several = ", ".join(f"{key.checkpoint_id!r} (namespace {key.checkpoint_ns!r})" for key in found)
        raise InvalidConfig(f"several checkpoints begin with {brief(wanted)}: {several}; give more of the id, or --ns")
    return found[0]


def _with_beginning(db: Db, thread_id: str, checkpoint_ns: str | None, wanted: str) -> list[CheckpointKey]:
    """Two at most of the checkpoints that have an id, or else of those whose ids begin so."""
    for last in (f"{wanted}\x01", f"{wanted}{GREATEST_TEXT}"):
        parameters = {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns, "first": wanted, "last": last}
        rows = db.run(sql.outline.checkpoints_from, parameters, checkpoint_ns is not None)
        found = [CheckpointKey(thread_id, *row) for row in rows]
        if found:
            return found
    return []


def _page(db: Db, thread_id: str, checkpoint_ns: str | None, before: str | None, size: int) -> ThreadPage:
    given = {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns, "before": before}
    shape = Shape(given=frozenset(name for name, value in given.items() if value is not None))
    with db.snapshot():
        thread = _require_thread(db, thread_id)
        rows = [_Row(*row) for row in db.run(sql.outline.page_of_checkpoints, {**given, "page_size": size + 1}, shape)]
        page = rows[:size]
        writes = _writes(db, [CheckpointKey(thread_id, row.checkpoint_ns, row.checkpoint_id) for row in page])
    return ThreadPage(thread, [_outlined(thread_id, row, writes) for row in page], more=len(rows) > size)


def _writes(db: Db, keys: Sequence[CheckpointKey]) -> dict[CheckpointKey, list[ChannelWrites]]:
    found: dict[CheckpointKey, list[ChannelWrites]] = defaultdict(list)
    if keys:
        parameters = db.key_parameters(sql.tables.CHECKPOINT_KEY, keys)
        for checkpoint_ns, checkpoint_id, *counts in db.run(sql.outline.writes_of_checkpoints, parameters):
            found[CheckpointKey(keys[0].thread_id, checkpoint_ns, checkpoint_id)].append(ChannelWrites(*counts))
    return found


def _outlined(thread_id: str, row: _Row, writes: dict[CheckpointKey, list[ChannelWrites]]) -> OutlinedCheckpoint:
    key = CheckpointKey(thread_id, row.checkpoint_ns, row.checkpoint_id)
    if row.parent_checkpoint_id is None:
        parent = Parent.NONE
    else:
        # SQLite has 0 and 1 for booleans.
        parent = Parent.MISSING if row.is_parent_hidden is None or row.is_parent_hidden else Parent.STORED
    return OutlinedCheckpoint(
        key=key,
        parent_checkpoint_id=row.parent_checkpoint_id,
        parent=parent,
        created_at=from_microseconds(row.created_at),
        size=row.size,
        metadata=_object(row.metadata),
        channels=len(_object(row.channel_versions)),
        writes=writes.get(key, []),
    )


def _object(text: str) -> dict[str, Any]:
    """JSON that was stored as an object; an outline shows a checkpoint whose row was altered, too."""
    try:
        parsed = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _require_thread(db: Db, thread_id: str) -> ThreadInfo:
    for row in db.run(sql.outline.thread, {"thread_id": thread_id}):
        _, created_at, updated_at, checkpoints, size = row
        return ThreadInfo(thread_id, from_microseconds(created_at), from_microseconds(updated_at), checkpoints, size)
    raise InvalidConfig(f"there is no thread {thread_id!r}; see: ckptstore threads list")


def require_thread(store: Store, thread_id: str) -> Steps[ThreadInfo]:
    """A thread's row.

    Raises:
        InvalidConfig: there is no such thread.
    """
    return store.read(partial(_require_thread, thread_id=thread_id))
