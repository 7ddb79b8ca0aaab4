"""Whole prunes: find the threads that have something to delete, prune one after the other, and report."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.maintenance.delete import LargeThread
from ckptstore.maintenance.policy import RetentionPolicy
from ckptstore.maintenance.prune_callbacks import NO_CALLBACKS, PruneCallbacks
from ckptstore.maintenance.prune_estimate import estimate_tasks
from ckptstore.maintenance.prune_plan import Rule, keep_all_but
from ckptstore.maintenance.prune_progress import PruneProgress
from ckptstore.maintenance.prune_scans import ThreadScan, scans_for
from ckptstore.maintenance.prune_thread import ExecuteNextStages, PruneRequest, PruneTask, plan_tasks
from ckptstore.maintenance.reports import PruneReport
from ckptstore.maintenance.turns import MaintainedThreads, others_write, take_turn
from ckptstore.records import StateFormat
from ckptstore.runtime.steps import Steps

logger = logging.getLogger(__name__)

_ROWS_PER_PAGE = 1_000
# How many tags one transaction deletes. A checkpoint may have a thousand, each on a page of its own.
_MAX_TAGS = 5_000


class _BatchSizes(NamedTuple):
    """How much is done at once. Planning holds up other Python threads, and a deletion on SQLite holds up other writes."""

    planned_threads: int
    deleted_checkpoints: int


_WHILE_OTHERS_WRITE = _BatchSizes(planned_threads=8, deleted_checkpoints=40)
_WHEN_IDLE = _BatchSizes(planned_threads=50, deleted_checkpoints=500)
# Another process may wait for the lock of a SQLite file, and nobody sees it.
_IDLE_ON_FILE = _BatchSizes(planned_threads=50, deleted_checkpoints=100)


class _ObjectReferences(NamedTuple):
    """One row of `references_to_objects`."""

    key: str
    size: int
    #: How many segments refer to the object.
    segments: int


class Pruner:
    """Prunes in small transactions, between which others write.

    Args:
        store: runs the work.
        state_format: what its checkpoints mean.
    """

    def __init__(self, store: MaintainedThreads, state_format: StateFormat) -> None:
        self._store = store
        self._state_format = state_format

    def threads(self, rules: Iterable[tuple[str, Rule]]) -> Steps[PruneReport]:
        """Delete the checkpoints that a rule does not keep, for each of some threads.

        Args:
            rules: thread ids, each with the rule of that thread.
        """
        progress = PruneProgress(NO_CALLBACKS, dry_run=False)
        requests = deque(PruneRequest(thread_id, rule, self._state_format) for thread_id, rule in rules)
        while requests:
            tasks = yield from self._plan(requests)
            yield from self._execute(tasks, progress)
        return (yield from self._finish(progress, None))

    def large_thread(self, thread_id: str, content: LargeThread) -> Steps[PruneReport]:
        """Delete what a thread had when its deletion began, oldest first, and nothing that was stored in it since."""
        rule = keep_all_but(content.checkpoints)
        progress = PruneProgress(NO_CALLBACKS, dry_run=False)
        tasks = yield from self._plan(deque([PruneRequest(thread_id, rule, self._state_format, orphans=content.written)]))
        yield from self._execute(tasks, progress)
        return (yield from self._finish(progress, None))

    def by_policy(self, policy: RetentionPolicy, now: int, callbacks: PruneCallbacks, *, dry_run: bool) -> Steps[PruneReport]:
        """Delete the checkpoints that a policy does not keep, in all threads, and old writes without a checkpoint.

        A thread with a checkpoint that was altered, so that it can't be planned, is logged and left as it is.

        Args:
            policy: which checkpoints to keep.
            now: the time from which ages count (microseconds since 1970, UTC).
            callbacks: follow the prune, and stop it early.
            dry_run: only read, and count: the report is that of a real prune.
        """
        progress = PruneProgress(callbacks, dry_run=dry_run)
        request = PruneRequest("", policy.rule(now), self._state_format, policy.orphan_cutoff(now), policy.cutoff("thread_ttl", now))
        pruned: set[str] = set()
        for scan in scans_for(policy, now):
            yield from self._scan(scan, request, pruned, progress)
        return (yield from self._finish(progress, policy))

    def _scan(self, scan: ThreadScan, request: PruneRequest, pruned: set[str], progress: PruneProgress) -> Steps[None]:
        """Prune the threads that a scan finds and that are not pruned yet, a page at a time."""
        after: Mapping[str, Any] | None = scan.start
        # A scan may find a thread again on each of its pages, and decide again that there is nothing to delete.
        planned_threads: set[str] = set()
        while after is not None and not progress.should_stop():
            page = yield from self._store.read(partial(scan.page, after=after, page_size=_ROWS_PER_PAGE))
            found = [thread_id for thread_id in scan.threads_of(page) if thread_id not in pruned and thread_id not in planned_threads]
            planned_threads.update(found)
            requests = deque(request._replace(thread_id=thread_id) for thread_id in found)
            while requests and not progress.stopped:
                planned = yield from self._plan(requests, skip_corrupt=True)
                tasks = [task for task in planned if scan.selects(task)]
                pruned.update(task.request.thread_id for task in tasks)
                yield from self._execute(tasks, progress)
            after = scan.after(page)

    def _batch_sizes(self) -> _BatchSizes:
        if others_write(self._store):
            return _WHILE_OTHERS_WRITE
        return _IDLE_ON_FILE if self._store.turns.has_lock else _WHEN_IDLE

    def _plan(self, requests: deque[PruneRequest], *, skip_corrupt: bool = False) -> Steps[list[PruneTask]]:
        """Take the next requests out of the queue, and plan them, see `plan_tasks`."""
        count = min(self._batch_sizes().planned_threads, len(requests))
        taken = [requests.popleft() for _ in range(count)]
        return self._store.read(partial(plan_tasks, requests=taken, skip_corrupt=skip_corrupt))

    def _execute(self, tasks: Sequence[PruneTask], progress: PruneProgress) -> Steps[None]:
        """Execute all stages of tasks, in transactions of a bounded size."""
        left = list(tasks)
        while left and not progress.should_stop():
            batch = _first_tasks(left, self._batch_sizes().deleted_checkpoints)
            if progress.dry_run:
                executed = yield from self._store.read(partial(estimate_tasks, tasks=batch))
            else:
                executed = yield from self._execute_next(batch)
            progress.add(executed)
            left = [task for task in executed if not task.is_done] + left[len(batch) :]
        progress.add_unfinished(left)

    def _execute_next(self, tasks: Sequence[PruneTask]) -> Steps[list[PruneTask]]:
        return take_turn(self._store, ExecuteNextStages(tasks), *[task.request.thread_id for task in tasks])

    def _finish(self, progress: PruneProgress, policy: RetentionPolicy | None) -> Steps[PruneReport]:
        """Count the objects that nothing refers to any more, log the report and return it."""
        objects = object_bytes = 0
        keys = sorted(progress.deleted_references)
        for start in range(0, len(keys), _ROWS_PER_PAGE):
            rows = yield from self._store.read(partial(_references, keys=keys[start : start + _ROWS_PER_PAGE]))
            for row in rows:
                # A dry run deletes nothing, so the references that it counts are still there.
                if row.segments == (progress.deleted_references[row.key] if progress.dry_run else 0):
                    objects, object_bytes = objects + 1, object_bytes + row.size
        report = progress.report(objects, object_bytes)
        _log(report, policy)
        return report


def _log(report: PruneReport, policy: RetentionPolicy | None) -> None:
    """Log every prune, including those that deleted nothing."""
    logger.info(
        "%s %d checkpoints, %d writes, %d values, %d segments from %d threads, %d bytes, in %.3f s",
        "prune (dry run) would delete" if report.dry_run else "prune deleted", report.checkpoints, report.writes, report.values,
        report.segments, report.threads, report.bytes, report.seconds,
        extra={"event": "pruned", **report.to_dict(), "policy": policy.to_dict() if policy else None},
    )  # fmt: skip


def _references(db: Db, keys: Sequence[str]) -> list[_ObjectReferences]:
    db.expect_long()
    return [_ObjectReferences(*row) for row in db.run(sql.prune.references_to_objects, db.object_keys(keys))]


def _first_tasks(tasks: Sequence[PruneTask], max_deletions: int) -> Sequence[PruneTask]:
    """The first tasks whose next stages delete at most so many checkpoints together, and not too many tags; at least one task."""
    deletions = tags = 0
    for number, task in enumerate(tasks):
        deletions += task.next_deletions
        tags += task.next_tags
        if number and (deletions > max_deletions or tags > _MAX_TAGS):
            return tasks[:number]
    return tasks
