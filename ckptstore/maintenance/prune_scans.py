"""Scans: the statements that find the threads in which a policy may have something to delete, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select

from ckptstore.db import sql
from ckptstore.maintenance.policy import RetentionPolicy
from ckptstore.maintenance.prune_thread import PruneTask

_BEFORE_ALL_TIMES = -(2**62)


class ThreadScan(NamedTuple):
    """One scan. Each row of its pages has a thread id, the thread's number of checkpoints, and the key after which to continue."""

    build: Callable[[str], Select[Any]]
    parameters: Mapping[str, Any]
    #: The key parameters of the first page, by name.
    start: Mapping[str, Any]
    #: Threads with at most so many checkpoints have none to delete.
    kept_count: int = -1
    #: Whether the scan finds orphaned writes: they are deleted even if no checkpoint is.
    finds_orphaned_writes: bool = False

    def threads_of(self, page: Sequence[Sequence[Any]]) -> Iterable[str]:
        """The threads of a page that may have something to delete, each once."""
        return dict.fromkeys(thread_id for thread_id, checkpoint_count, *_key in page if checkpoint_count > self.kept_count)

    def after(self, page: Sequence[Sequence[Any]]) -> Mapping[str, Any] | None:
        """The key parameters of the page after this one; None after an empty page."""
        if not page:
            return None
        _thread_id, _checkpoint_count, *key = page[-1]
        return dict(zip(self.start, key, strict=True))

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
