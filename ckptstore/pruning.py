"""Pruning one thread, stage by stage: what goes is decided beside the writers, and done in small transactions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from ckptstore import statements as sql
from ckptstore.engine import rolled_back, snapshot, transaction
from ckptstore.prepared import Prepared, StatementCache
from ckptstore.records import CheckpointKey, Removed
from ckptstore.retention import Node, Place, Rule, Stage, ThreadView, stages_to
from ckptstore.writes import delete_tags, rows_of_tags

# A writer on SQLite waits for so many: some milliseconds.
_CHECKPOINTS_PER_STAGE = 50


class Stamp(NamedTuple):
    """What changes with every checkpoint that comes to a thread or goes, and within a second of every write."""

    generation: int
    checkpoints: int
    updated_at: int


class Request(NamedTuple):
    """What is to be pruned of a thread."""

    thread_id: str
    rule: Rule
    #: Writes older than this whose checkpoint never came go too (microseconds since 1970, UTC).
    stray_before: int | None = None
    #: All of them go in a thread in which nothing was stored since.
    idle_before: int | None = None


class Removal(NamedTuple):
    """A stage, and the rows of the tag index that go with it."""

    stage: Stage
    tags: Sequence[tuple[str, ...]]


class Task(NamedTuple):
    """What is left to do of a request, if the thread still looks like this."""

    request: Request
    stamp: Stamp
    removals: Sequence[Removal]
    #: What went with the stage before, or in a trial with all of them.
    removed: Removed = Removed()
    #: Whether anything went so far.
    took_something: bool = False

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return not self.removals

    @property
    def takes_something(self) -> bool:
        """Whether anything goes, apart from what has no checkpoint or value."""
        return any(stage.lost or stage.gone or stage.values for stage, _ in self.removals)

    @property
    def size(self) -> int:
        """How many checkpoints go next."""
        return len(self.removals[0].stage.gone)


def decide(connection: Connection, requests: Sequence[Request], prepared: StatementCache) -> list[Task]:
    """What goes, without a lock; nothing of threads that are not there."""
    with snapshot(connection):
        stamps = [(request, _stamp(connection, prepared(sql.thread_stamp), request.thread_id)) for request in requests]
        return [_decide(connection, Task(request, stamp, ()), prepared) for request, stamp in stamps if stamp is not None]


class CarryOut:
    """Carries out the next stage of each task, in one transaction, and says what is left of them.

    Where a thread has changed since it was decided what goes of it, that is decided anew. It may run again when the answer to
    its commit was lost: a thread that looks as it left it was done.
    """

    def __init__(self, tasks: Sequence[Task], prepared: StatementCache) -> None:
        # As batches of writes have it: two processes that lock the same threads never deadlock.
        self._tasks = sorted(tasks, key=lambda task: task.request.thread_id)
        self._prepared = prepared
        self._done: dict[str, Task] = {}

    def __call__(self, connection: Connection) -> list[Task]:
        """Do it."""
        with transaction(connection):
            self._done = {task.request.thread_id: self._next(connection, task) for task in self._tasks}
        return list(self._done.values())

    def _next(self, connection: Connection, task: Task) -> Task:
        before = self._done.get(task.request.thread_id)
        stamp = _lock(connection, task.request.thread_id, self._prepared)
        if before is not None and (stamp is None if before.removed.threads else stamp == before.stamp):
            return before
        return _carry_out_next(connection, task, stamp, self._prepared)


def try_out(connection: Connection, tasks: Sequence[Task], prepared: StatementCache) -> list[Task]:
    """Carry out all stages of each task, and undo it: what went is told to the byte."""
    tried: list[Task] = []
    with rolled_back(connection):
        for task in sorted(tasks, key=lambda task: task.request.thread_id):
            removed, left = Removed(), task
            while not left.done:
                left = _carry_out_next(connection, left, _lock(connection, task.request.thread_id, prepared), prepared)
                removed += left.removed
            tried.append(left._replace(removed=removed))
    return tried


def _carry_out_next(connection: Connection, task: Task, stamp: Stamp | None, prepared: StatementCache) -> Task:
    if stamp is None:
        return task._replace(removals=(), removed=Removed())
    if stamp != task.stamp:
        task = _decide(connection, task._replace(stamp=stamp), prepared)
    removal, rest = task.removals[0], task.removals[1:]
    removed = _remove(connection, task.request.thread_id, removal, prepared)
    if not rest:
        removed += _sweep(connection, task.request, stamp, prepared)
    after = Stamp(stamp.generation + 1, stamp.checkpoints - len(removal.stage.lost), stamp.updated_at)
    return task._replace(stamp=after, removals=rest, removed=removed, took_something=task.took_something or removed != Removed())


def _stamp(connection: Connection, statement: Prepared, thread_id: str) -> Stamp | None:
    rows = statement.run(connection, {"thread_id": thread_id}).all()
    return Stamp(*rows[0]) if rows else None


def _lock(connection: Connection, thread_id: str, prepared: StatementCache) -> Stamp | None:
    # A statement of its own: what comes after it on PostgreSQL sees all that was committed before the lock was had.
    return _stamp(connection, prepared(sql.lock_thread), thread_id)


def _decide(connection: Connection, task: Task, prepared: StatementCache) -> Task:
    thread_id = task.request.thread_id
    view = view_thread(connection, thread_id, task.stamp.updated_at, prepared)
    stages = stages_to(view, task.request.rule(view), _CHECKPOINTS_PER_STAGE)
    # Here, beside the writers, rather than with the thread locked.
    tags = [rows_of_tags((CheckpointKey(thread_id, *node.place), node.metadata) for node in stage.lost) for stage in stages]
    return task._replace(removals=[*map(Removal, stages, tags)])


def view_thread(connection: Connection, thread_id: str, active_at: int, prepared: StatementCache) -> ThreadView:
    """A thread as rules see it."""
    this = {"thread_id": thread_id}
    nodes = [
        Node(Place(namespace, checkpoint_id), parent, created_at, format_, json.loads(versions), metadata, size, bool(support))
        for namespace, checkpoint_id, parent, created_at, format_, versions, metadata, size, support in prepared(sql.thread_nodes).run(
            connection, this
        )
    ]
    return ThreadView(
        {node.place: node for node in nodes},
        {(row[0], row[1], row[2]) for row in prepared(sql.stored_versions).run(connection, this)},
        {Place(row[0], row[1]) for row in prepared(sql.checkpoints_with_sends).run(connection, this)},
        active_at,
    )


def _remove(connection: Connection, thread_id: str, removal: Removal, prepared: StatementCache) -> Removed:
    """Take away what a stage names."""
    stage = removal.stage
    delete_tags(connection, removal.tags, prepared)
    hidden = _keys(prepared, sql.CHECKPOINT_KEY, thread_id, stage.hidden)
    if stage.hidden:
        prepared(sql.hide_checkpoints).run(connection, hidden)
    gone = _keys(prepared, sql.CHECKPOINT_KEY, thread_id, stage.gone)
    writes = _lengths(connection, prepared(sql.delete_writes), gone) if stage.gone else []
    bodies = _lengths(connection, prepared(sql.delete_checkpoints), gone) if stage.gone else []
    unnamed = _keys(prepared, sql.VERSION_KEY, thread_id, stage.values)
    values = _lengths(connection, prepared(sql.delete_values), unnamed) if stage.values else []
    size = sum(node.size for node in stage.lost)
    prepared(sql.count_lost).run(connection, {"thread_id": thread_id, "checkpoints": len(stage.lost), "size": size})
    return Removed(checkpoints=len(stage.lost), writes=len(writes), values=len(values), bytes=sum(writes) + sum(bodies) + sum(values))


def _sweep(connection: Connection, request: Request, stamp: Stamp, prepared: StatementCache) -> Removed:
    """What is left over when all else has gone: writes without a checkpoint, segments without a value, a thread without either."""
    this = {"thread_id": request.thread_id}
    stray: list[int] = []
    is_idle = request.idle_before is not None and stamp.updated_at < request.idle_before
    stray_before = request.idle_before if is_idle else request.stray_before
    if stray_before is not None:
        stray = _lengths(connection, prepared(sql.delete_stray_writes), {**this, "moment": stray_before})
    # Also where nothing was deleted: a checkpoint or a write that was replaced leaves segments behind.
    segments = prepared(sql.delete_unlinked_segments).run(connection, this).all()
    threads = prepared(sql.delete_empty_thread).run(connection, this).rowcount
    return Removed(
        threads=threads,
        writes=len(stray),
        segments=len(segments),
        bytes=sum(stray) + sum(row[0] for row in segments),
        object_keys=tuple(row[1] for row in segments if row[1] is not None),
    )


def _lengths(connection: Connection, statement: Prepared, parameters: dict[str, Any]) -> list[int]:
    return [row[0] for row in statement.run(connection, parameters)]


def _keys(prepared: StatementCache, names: Sequence[str], thread_id: str, rows: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    return sql.key_parameters(prepared.dialect.name, names, [(thread_id, *row) for row in rows])
