"""Scans: the statements that find the threads in which a policy may have something to delete, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.maintenance.policy import RetentionPolicy
from ckptstore.maintenance.prune_thread import PruneTask

_BEFORE_ALL_TIMES = -(2**62)


class ScannedThread(NamedTuple):
    """One row of a scan's page."""

    thread_id: str
    checkpoint_count: int
    #: The key after which the scan continues, in the order of `ThreadScan.start`.
    key: Sequence[Any]


class ThreadScan(NamedTuple):
    """One scan, whose statement returns the columns of `ScannedThread`, the parts of the key one by one."""

    build: Callable[[str], Select[Any]]
    parameters: Mapping[str, Any]
    #: The key parameters of the first page, by name.
    start: Mapping[str, Any]
    #: Threads with at most so many checkpoints have none to delete.
    kept_count: int = -1
    #: Whether the scan finds orphaned writes: they are deleted even if no checkpoint is.
    finds_orphaned_writes: bool = False

    def page(self, db: Db, after: Mapping[str, Any], page_size: int) -> list[ScannedThread]:
        """The next threads; one with several checkpoints may be found several times.

        Args:
            db: the database.
            after: the key parameters of the page: `start`, or what `after` returned.
            page_size: how many rows the page has at most.
        """
        db.expect_long()
        rows = db.run(self.build, {**self.parameters, **after, "page_size": page_size})
        return [ScannedThread(thread_id, checkpoint_count, key) for thread_id, checkpoint_count, *key in rows]

    def threads_of(self, page: Iterable[ScannedThread]) -> Iterable[str]:
        """The threads of a page that may have something to delete, each once."""
        return dict.fromkeys(row.thread_id for row in page if row.checkpoint_count > self.kept_count)

    def after(self, page: Sequence[ScannedThread]) -> Mapping[str, Any] | None:
        """The key parameters of the page after this one; None after an empty page."""
        return dict(zip(self.start, page[-1].key, strict=True)) if page else None

    def selects(self, task: PruneTask) -> bool:
        """Whether to execute a task that was planned for one of the scan's threads, rather than to leave it to a later scan."""
        return self.finds_orphaned_writes or task.removes_anything or not task.stamp.checkpoint_count


def scans_for(policy: RetentionPolicy, now: int) -> list[ThreadScan]:
    """The scans that together find every thread in which a policy has something to delete.

    Args:
        policy: which checkpoints to keep.
        now: the time from which ages count (microseconds since 1970, UTC).
    """
    scans: list[ThreadScan] = []
    by_id = {"after_thread_id": ""}
    age_cutoff, idle_cutoff, orphan_cutoff = policy.cutoff("max_age", now), policy.cutoff("thread_ttl", now), policy.orphan_cutoff(now)
    if age_cutoff is not None:
        by_age = {"after_created_at": _BEFORE_ALL_TIMES, **by_id, "after_checkpoint_ns": "", "after_checkpoint_id": ""}
        scans.append(ThreadScan(sql.prune.old_checkpoints, {"cutoff": age_cutoff}, by_age, kept_count=policy.keep_last or 0))
    elif policy.keep_last is not None:
        scans.append(ThreadScan(sql.prune.long_threads, {"longest": policy.keep_last}, by_id))
    if idle_cutoff is not None:
        by_activity = {"after_updated_at": _BEFORE_ALL_TIMES, **by_id}
        scans.append(ThreadScan(sql.prune.idle_threads, {"cutoff": idle_cutoff}, by_activity))
    if orphan_cutoff is not None:
        scans.append(ThreadScan(sql.prune.threads_with_orphaned_writes, {"cutoff": orphan_cutoff}, by_id, finds_orphaned_writes=True))
    return scans
