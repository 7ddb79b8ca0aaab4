"""The progress of one prune: what it has deleted so far, and whether its caller stopped it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from ckptstore.maintenance.prune_callbacks import PruneCallbacks
from ckptstore.maintenance.prune_thread import PruneTask
from ckptstore.maintenance.reports import DeletedRows, PruneReport


class PruneProgress:
    """Counts what a prune deletes.

    Args:
        callbacks: the caller's.
        dry_run: whether nothing is deleted.
    """

    def __init__(self, callbacks: PruneCallbacks, *, dry_run: bool) -> None:
        self._callbacks = callbacks
        self._started = time.perf_counter()
        self._deleted = DeletedRows()
        self._threads = 0
        self.dry_run = dry_run
        #: Whether the caller stopped the prune.
        self.stopped = False
        #: For each object, how many segments that referred to it were deleted.
        self.deleted_references: Counter[str] = Counter()

    def should_stop(self) -> bool:
        """Ask the caller whether to stop; not again once it answered True."""
        self.stopped = self.stopped or self._callbacks.should_stop()
        return self.stopped

    def add(self, tasks: Iterable[PruneTask]) -> None:
        """Count what one transaction deleted, and report the progress."""
        for task in tasks:
            self.deleted_references.update(task.deleted.object_keys)
            self._threads += task.is_done and task.deleted_anything
            self._deleted += replace(task.deleted, object_keys=())
        self._callbacks.progress(self.report(0, 0))

    def add_unfinished(self, tasks: Iterable[PruneTask]) -> None:
        """Count the threads of tasks that were begun and will not be finished."""
        self._threads += sum(task.deleted_anything for task in tasks)

    def report(self, objects: int, object_bytes: int) -> PruneReport:
        """What was deleted so far.

        Args:
            objects: how many objects nothing refers to any more.
            object_bytes: the bytes of these objects.
        """
        return PruneReport(
            **self._deleted.counts(),
            threads=self._threads,
            objects=objects,
            object_bytes=object_bytes,
            stopped=self.stopped,
            dry_run=self.dry_run,
            seconds=time.perf_counter() - self._started,
        )
