"""Pruning one thread: plan without a lock, while others write, and delete stage by stage in small transactions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ClauseElement

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import Row
from ckptstore.errors import CheckpointCorrupt
from ckptstore.maintenance.prune_additions import PlannedThread
from ckptstore.maintenance.prune_nodes import nodes_of, stages_of, thread_view
from ckptstore.maintenance.prune_plan import CheckpointRef, Rule, Stage, ThreadView
from ckptstore.maintenance.reports import DeletedRows
from ckptstore.maintenance.thread_rows import ThreadStamp, lock_thread, read_stamp
from ckptstore.records import CheckpointKey, StateFormat
from ckptstore.writes.tag_rows import delete_tags, stored_tag_rows

logger = logging.getLogger(__name__)

# How many checkpoints one transaction deletes: other writes on SQLite wait some milliseconds for it.
_CHECKPOINTS_PER_STAGE = 50
# How many orphaned writes, or segments, one transaction deletes.
_ROWS_PER_SWEEP = 500
# SQLite looks at every page that it frees.
_BYTES_PER_SWEEP = 4 * 1024 * 1024


class PruneRequest(NamedTuple):
    """What to prune of a thread. Times are in microseconds since 1970, UTC."""

    thread_id: str
    rule: Rule
    state_format: StateFormat
    #: Delete writes from before this time that have no checkpoint; None keeps them.
    orphan_cutoff: int | None = None
    #: If nothing was stored in the thread since this time, delete all its writes that have no checkpoint.
    idle_cutoff: int | None = None
    #: Checkpoints whose writes are deleted, however new they are, if the checkpoint does not exist.
    orphans: Sequence[CheckpointRef] = ()

    def cutoff(self, stamp: ThreadStamp) -> int | None:
        """The time before which writes that have no checkpoint are deleted; None if they are kept."""
        is_idle = self.idle_cutoff is not None and stamp.updated_at < self.idle_cutoff
        return self.idle_cutoff if is_idle else self.orphan_cutoff


class PlannedStage(NamedTuple):
    """A stage, and the rows of the tag index that it deletes."""

    stage: Stage
    tag_rows: Sequence[Row]


_NO_STAGE = PlannedStage(Stage(), ())


class PruneTask(NamedTuple):
    """A request and the stages that are left to execute, then a sweep. The plan holds as long as the thread has this stamp."""

    request: PruneRequest
    stamp: ThreadStamp
    stages: Sequence[PlannedStage]
    #: Tells whether the plan holds after something was added; None before it is made.
    thread: PlannedThread | None = None
    #: What the last executed stage deleted; after a dry run, what all stages deleted.
    deleted: DeletedRows = DeletedRows()
    #: Whether any stage deleted anything.
    deleted_anything: bool = False
    #: Whether no orphaned writes and segments are left to delete.
    is_swept: bool = False

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to delete."""
        return not self.stages and self.is_swept

    @property
    def removes_anything(self) -> bool:
        """Whether the stages remove checkpoints or values; apart from that they may delete orphaned writes and segments."""
        return any(stage.removed or stage.deleted or stage.values for stage, _ in self.stages)

    @property
    def next_deletions(self) -> int:
        """How many checkpoints the next stage deletes."""
        return len(self.stages[0].stage.deleted) if self.stages else _CHECKPOINTS_PER_STAGE

    @property
    def next_tags(self) -> int:
        """How many tags the next stage deletes."""
        return len(self.stages[0].tag_rows) if self.stages else 0


def plan_tasks(db: Db, requests: Sequence[PruneRequest], *, skip_corrupt: bool = False) -> list[PruneTask]:
    """Plan each request in one snapshot, without locks. Threads that don't exist get no task.

    Args:
        db: the database.
        requests: what to plan.
        skip_corrupt: whether threads that can't be planned, because a checkpoint was altered, are logged and left out.

    Raises:
        CheckpointCorrupt: a thread can't be planned.
    """
    db.expect_long()
    tasks: list[PruneTask] = []
    with db.snapshot():
        for request in requests:
            stamp = read_stamp(db, request.thread_id)
            try:
                tasks += [] if stamp is None else [_plan(db, PruneTask(request, stamp, ()))]
            except CheckpointCorrupt as exc:
                if not skip_corrupt:
                    raise
                logger.error("a thread is not pruned: %s", exc, extra={"event": "thread_not_pruned", "thread_id": request.thread_id})  # noqa: TRY400  # the message says all
    return tasks


class ExecuteNextStages:
    """Work for the database: execute the next stage of each task in one transaction, and return what is left of the tasks.

    If a thread has changed since it was planned, it is planned again. The work may run again after a commit of unknown outcome: a
    thread with the stamp that the first run left was committed by it.

    Args:
        tasks: none of them is done.
    """

    def __init__(self, tasks: Sequence[PruneTask]) -> None:
        # In the order in which batches of writes lock threads too, so that two processes never deadlock.
        self._tasks = sorted(tasks, key=lambda task: task.request.thread_id)
        self._executed: dict[str, PruneTask] = {}

    def __call__(self, db: Db) -> list[PruneTask]:
        """Run the transaction."""
        db.expect_long()
        with db.transaction():
            self._executed = {task.request.thread_id: self._execute(db, task) for task in self._tasks}
        return list(self._executed.values())

    def _execute(self, db: Db, task: PruneTask) -> PruneTask:
        earlier = self._executed.get(task.request.thread_id)
        stamp = lock_thread(db, task.request.thread_id)
        if earlier is not None and (stamp is None if earlier.deleted.deleted_threads else stamp == earlier.stamp):
            return earlier
        return _execute_next(db, task, stamp)


def _execute_next(db: Db, task: PruneTask, stamp: ThreadStamp | None) -> PruneTask:
    if stamp is None:
        return task._replace(stages=(), is_swept=True, deleted=DeletedRows())
    task = planned_at(db, task, stamp)
    planned, *rest = task.stages or [_NO_STAGE]
    deleted = _delete_stage(db, task.request.thread_id, planned)
    is_swept = False
    if not rest:
        is_swept, swept = _sweep(db, task.request, stamp)
        deleted += swept
    new_stamp = ThreadStamp(stamp.generation + 1, stamp.checkpoint_count - len(planned.stage.removed), stamp.updated_at)
    deleted_anything = task.deleted_anything or deleted != DeletedRows()
    return task._replace(stamp=new_stamp, stages=rest, deleted=deleted, deleted_anything=deleted_anything, is_swept=is_swept)


def planned_at(db: Db, task: PruneTask, stamp: ThreadStamp) -> PruneTask:
    """The task as it was planned, or planned again if the thread has changed since in a way that may concern the plan."""
    if stamp == task.stamp:
        return task
    thread = _with_added(db, task, stamp)
    return _plan(db, task._replace(stamp=stamp)) if thread is None else task._replace(stamp=stamp, thread=thread)


def _with_added(db: Db, task: PruneTask, stamp: ThreadStamp) -> PlannedThread | None:
    """The thread with the checkpoints that were added to it since; None if something else changed, or they concern the plan."""
    request, thread = task.request, task.thread
    was_idle = request.idle_cutoff is not None and task.stamp.updated_at < request.idle_cutoff
    if thread is None or was_idle or stamp.generation != task.stamp.generation:
        return None
    # To look at more would take longer than to plan again.
    parameters = {"thread_id": request.thread_id, "after": thread.greatest_id, "max_rows": len(thread.view.nodes)}
    count = stamp.checkpoint_count - task.stamp.checkpoint_count
    rows = db.run(sql.prune.thread_nodes_after, parameters) if count else ()
    added = nodes_of(request.thread_id, request.state_format, rows)
    return thread.with_added(added) if len(added) == count else None


def _plan(db: Db, task: PruneTask) -> PruneTask:
    """Plan a task.

    No row's checksum is compared, since no payload is read. A checkpoint whose row was altered can't be read in any case; what the others
    are read from is found through rows that a read would refuse.

    Raises:
        CheckpointCorrupt: the metadata or the versions of a checkpoint can't be parsed.
    """
    request = task.request
    view = thread_view(db, request.thread_id, request.state_format, task.stamp.updated_at)
    return db.compute(len(view.nodes), _planned, task, view)


def _planned(task: PruneTask, view: ThreadView) -> PruneTask:
    request = task.request
    stages = stages_of(request.thread_id, view, request.rule, _CHECKPOINTS_PER_STAGE)
    # Computed here, while others write, and not while the thread is locked.
    tag_rows = [stored_tag_rows((CheckpointKey(request.thread_id, *node.ref), node.metadata) for node in stage.removed) for stage in stages]
    orphans = [ref for ref in request.orphans if ref not in view.nodes]
    parts = [orphans[start : start + _CHECKPOINTS_PER_STAGE] for start in range(0, len(orphans), _CHECKPOINTS_PER_STAGE)]
    return task._replace(
        stages=[*(PlannedStage(Stage(deleted=part), ()) for part in parts), *map(PlannedStage, stages, tag_rows)],
        thread=PlannedThread.of(view, stages),
        is_swept=False,
    )


def _delete_stage(db: Db, thread_id: str, planned: PlannedStage) -> DeletedRows:
    stage = planned.stage
    delete_tags(db, planned.tag_rows)
    if stage.hidden:
        db.run(sql.prune.hide_checkpoints, _keys(db, sql.tables.CHECKPOINT_KEY, thread_id, stage.hidden))
    checkpoint_keys = _keys(db, sql.tables.CHECKPOINT_KEY, thread_id, stage.deleted)
    value_keys = _keys(db, sql.tables.VERSION_KEY, thread_id, stage.values)
    writes = _deleted_lengths(db, sql.prune.delete_writes, checkpoint_keys) if stage.deleted else []
    bodies = _deleted_lengths(db, sql.prune.delete_checkpoints, checkpoint_keys) if stage.deleted else []
    values = _deleted_lengths(db, sql.prune.delete_values, value_keys) if stage.values else []
    count, size = len(stage.removed), sum(node.size for node in stage.removed)
    db.run(sql.threads.subtract_deleted, {"thread_id": thread_id, "checkpoint_count": count, "size": size})
    return DeletedRows(checkpoints=count, writes=len(writes), values=len(values), bytes=sum(writes) + sum(bodies) + sum(values))


class _DeletedSegment(NamedTuple):
    """One row of `delete_unlinked_segments`."""

    length: int
    object_key: str | None


def _sweep(db: Db, request: PruneRequest, stamp: ThreadStamp) -> tuple[bool, DeletedRows]:
    """Delete some of the old writes without a checkpoint and of the segments that no value refers to.

    Returns whether that were all of them, and what was deleted: if nothing else is left of the thread, its row too.
    """
    thread = {"thread_id": request.thread_id, "max_rows": _ROWS_PER_SWEEP}
    cutoff = request.cutoff(stamp)
    writes = [] if cutoff is None else _deleted_lengths(db, sql.prune.delete_orphaned_writes, {**thread, "cutoff": cutoff})
    # Even if this prune deleted nothing: a checkpoint or a write that was replaced leaves its segments behind.
    unlinked = db.run(sql.prune.delete_unlinked_segments, {**thread, "max_bytes": _BYTES_PER_SWEEP})
    segments = [_DeletedSegment(*row) for row in unlinked]
    size = sum(segment.length for segment in segments)
    is_swept = max(len(writes), len(segments)) < _ROWS_PER_SWEEP and size < _BYTES_PER_SWEEP
    threads = db.run(sql.threads.delete_empty_thread, thread).rowcount if is_swept else 0
    return is_swept, DeletedRows(
        deleted_threads=threads,
        writes=len(writes),
        segments=len(segments),
        bytes=sum(writes) + size,
        object_keys=tuple(segment.object_key for segment in segments if segment.object_key is not None),
    )


def _deleted_lengths(db: Db, build: Callable[[str], ClauseElement], parameters: dict[str, Any]) -> list[int]:
    """Delete rows; returns the bytes of each row's payload."""
    return [length for (length,) in db.run(build, parameters)]


def _keys(db: Db, names: Sequence[str], thread_id: str, rows: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    return db.key_parameters(names, [(thread_id, *row) for row in rows])
