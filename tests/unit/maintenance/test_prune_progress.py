"""What a prune has deleted so far, and whether its caller stopped it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ckptstore.maintenance.prune_callbacks import PruneCallbacks
from ckptstore.maintenance.prune_progress import PruneProgress
from ckptstore.maintenance.reports import DeletedRows, PruneReport


def task(checkpoints: int, *objects: str, is_done: bool = True) -> Any:
    deleted = DeletedRows(checkpoints=checkpoints, object_keys=objects)
    return SimpleNamespace(deleted=deleted, is_done=is_done, deleted_anything=checkpoints > 0)


def test_each_transaction_is_reported_with_all_before_it() -> None:
    reports: list[PruneReport] = []
    progress = PruneProgress(PruneCallbacks(reports.append), dry_run=True)
    progress.add([task(3, "a", "a", "b"), task(0)])
    progress.add([task(2, "a", is_done=False)])
    assert [(report.checkpoints, report.threads, report.dry_run) for report in reports] == [(3, 1, True), (5, 1, True)]
    assert progress.deleted_references == {"a": 3, "b": 1}


def test_threads_that_were_begun_count_once_they_are_given_up() -> None:
    progress = PruneProgress(PruneCallbacks(), dry_run=False)
    progress.add_unfinished([task(2, is_done=False), task(0, is_done=False)])
    report = progress.report(4, 100)
    assert (report.threads, report.objects, report.object_bytes) == (1, 4, 100)


def test_a_caller_that_stopped_a_prune_is_not_asked_again() -> None:
    answers = iter([False, True])
    progress = PruneProgress(PruneCallbacks(should_stop=lambda: next(answers)), dry_run=False)
    assert [progress.should_stop() for _ in range(4)] == [False, True, True, True]
    assert progress.report(0, 0).stopped
