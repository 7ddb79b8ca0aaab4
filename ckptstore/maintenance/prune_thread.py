"""Pruning one thread, stage by stage: what goes is decided beside the writers, and done in small transactions."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ClauseElement

from ckptstore.db import sql
from ckptstore.db.handle import Db
from ckptstore.maintenance.prune_plan import CheckpointRef, Node, Rule, Stage, ThreadView, plan_stages
from ckptstore.maintenance.reports import DeletedRows
from ckptstore.maintenance.thread_rows import ThreadStamp, lock_thread, read_stamp
from ckptstore.records import CheckpointKey, StateFormat
from ckptstore.writes.tag_rows import delete_tags, stored_tag_rows

# A writer on SQLite waits for so many: some milliseconds.
_CHECKPOINTS_PER_STAGE = 50


class Request(NamedTuple):
    """What is to be pruned of a thread."""

    thread_id: str
    rule: Rule
    state_format: StateFormat
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
    stamp: ThreadStamp
    removals: Sequence[Removal]
    #: What went with the stage before, or in a trial with all of them.
    removed: DeletedRows = DeletedRows()
    #: Whether anything went so far.
    took_something: bool = False

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return not self.removals

    @property
    def takes_something(self) -> bool:
        """Whether anything goes, apart from what has no checkpoint or value."""
        return any(stage.removed or stage.deleted or stage.values for stage, _ in self.removals)

    @property
    def size(self) -> int:
        """How many checkpoints go next."""
        return len(self.removals[0].stage.deleted)


def decide(
    db: Db,
    requests: Sequence[Request],
) -> list[Task]:
    """What goes, without a lock; nothing of threads that are not there."""
    with db.snapshot():
        stamps = [(request, read_stamp(db, request.thread_id)) for request in requests]
        return [_decide(db, Task(request, stamp, ())) for request, stamp in stamps if stamp is not None]


class CarryOut:
    """Carries out the next stage of each task, in one transaction, and says what is left of them.

    Where a thread has changed since it was decided what goes of it, that is decided anew. It may run again when the answer to
    its commit was lost: a thread that looks as it left it was done.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
    ) -> None:
        # As batches of writes have it: two processes that lock the same threads never deadlock.
        self._tasks = sorted(tasks, key=lambda task: task.request.thread_id)
        self._done: dict[str, Task] = {}

    def __call__(self, db: Db) -> list[Task]:
        """Do it."""
        with db.transaction():
            self._done = {task.request.thread_id: self._next(db, task) for task in self._tasks}
        return list(self._done.values())

    def _next(self, db: Db, task: Task) -> Task:
        before = self._done.get(task.request.thread_id)
        stamp = lock_thread(db, task.request.thread_id)
        if before is not None and (stamp is None if before.removed.threads else stamp == before.stamp):
            return before
        return _carry_out_next(db, task, stamp)


def try_out(
    db: Db,
    tasks: Sequence[Task],
) -> list[Task]:
    """Carry out all stages of each task, and undo it: what went is told to the byte."""
    tried: list[Task] = []
    with db.rolled_back():
        for task in sorted(tasks, key=lambda task: task.request.thread_id):
            removed, left = DeletedRows(), task
            while not left.done:
                left = _carry_out_next(db, left, lock_thread(db, task.request.thread_id))
                removed += left.removed
            tried.append(left._replace(removed=removed))
    return tried


def _carry_out_next(
    db: Db,
    task: Task,
    stamp: ThreadStamp | None,
) -> Task:
    if stamp is None:
        return task._replace(removals=(), removed=DeletedRows())
    if stamp != task.stamp:
        task = _decide(db, task._replace(stamp=stamp))
    removal, rest = task.removals[0], task.removals[1:]
    removed = _remove(db, task.request.thread_id, removal)
    if not rest:
        removed += _sweep(db, task.request, stamp)
    after = ThreadStamp(stamp.generation + 1, stamp.checkpoint_count - len(removal.stage.removed), stamp.updated_at)
    return task._replace(stamp=after, removals=rest, removed=removed, took_something=task.took_something or removed != DeletedRows())


def _decide(
    db: Db,
    task: Task,
) -> Task:
    thread_id = task.request.thread_id
    view = view_thread(db, thread_id, task.stamp.updated_at, task.request.state_format)
    stages = plan_stages(view, task.request.rule(view), _CHECKPOINTS_PER_STAGE)
    # Here, beside the writers, rather than with the thread locked.
    tags = [stored_tag_rows((CheckpointKey(thread_id, *node.ref), node.metadata) for node in stage.removed) for stage in stages]
    return task._replace(removals=[*map(Removal, stages, tags)])


def view_thread(
    db: Db,
    thread_id: str,
    active_at: int,
    state_format: StateFormat,
) -> ThreadView:
    """A thread as rules see it."""
    this = {"thread_id": thread_id}
    nodes = [
        Node(
            state_format,
            CheckpointRef(namespace, checkpoint_id),
            parent,
            created_at,
            format_,
            json.loads(versions),
            metadata,
            size,
            bool(hidden),
        )
        for namespace, checkpoint_id, parent, created_at, format_, versions, metadata, size, hidden in db.run(sql.prune.thread_nodes, this)
    ]
    return ThreadView(
        {node.ref: node for node in nodes},
        {(row[0], row[1], row[2]) for row in db.run(sql.checkpoints.stored_versions, this)},
        {CheckpointRef(*row) for row in db.run(sql.prune.checkpoints_with_writes_to, {**this, "channel": state_format.tasks_channel})},
        active_at,
    )


def _remove(
    db: Db,
    thread_id: str,
    removal: Removal,
) -> DeletedRows:
    """Take away what a stage names."""
    stage = removal.stage
    delete_tags(db, removal.tags)
    hidden = _keys(db, sql.tables.CHECKPOINT_KEY, thread_id, stage.hidden)
    if stage.hidden:
        db.run(sql.prune.hide_checkpoints, hidden)
    gone = _keys(db, sql.tables.CHECKPOINT_KEY, thread_id, stage.deleted)
    writes = _lengths(db, sql.prune.delete_writes, gone) if stage.deleted else []
    bodies = _lengths(db, sql.prune.delete_checkpoints, gone) if stage.deleted else []
    unnamed = _keys(db, sql.tables.VERSION_KEY, thread_id, stage.values)
    values = _lengths(db, sql.prune.delete_values, unnamed) if stage.values else []
    size = sum(node.size for node in stage.removed)
    db.run(sql.prune.count_lost, {"thread_id": thread_id, "checkpoint_count": len(stage.removed), "size": size})
    return DeletedRows(
        checkpoints=len(stage.removed), writes=len(writes), values=len(values), bytes=sum(writes) + sum(bodies) + sum(values)
    )


def _sweep(
    db: Db,
    request: Request,
    stamp: ThreadStamp,
) -> DeletedRows:
    """What is left over when all else has gone: writes without a checkpoint, segments without a value, a thread without either."""
    this = {"thread_id": request.thread_id}
    stray: list[int] = []
    is_idle = request.idle_before is not None and stamp.updated_at < request.idle_before
    stray_before = request.idle_before if is_idle else request.stray_before
    if stray_before is not None:
        stray = _lengths(db, sql.prune.delete_stray_writes, {**this, "moment": stray_before})
    # Also where nothing was deleted: a checkpoint or a write that was replaced leaves segments behind.
    segments = db.run(sql.prune.delete_unlinked_segments, this).all()
    threads = db.run(sql.delete.delete_empty_thread, this).rowcount
    return DeletedRows(
        threads=threads,
        writes=len(stray),
        segments=len(segments),
        bytes=sum(stray) + sum(row[0] for row in segments),
        object_keys=tuple(row[1] for row in segments if row[1] is not None),
    )


def _lengths(db: Db, build: Callable[[str], ClauseElement], parameters: dict[str, Any]) -> list[int]:
    return [row[0] for row in db.run(build, parameters)]


def _keys(db: Db, names: Sequence[str], thread_id: str, rows: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    return db.key_parameters(names, [(thread_id, *row) for row in rows])
