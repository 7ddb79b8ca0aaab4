"""A whole maintenance run: prune by a policy, run one garbage collection pass, give free pages back to the file system."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from ckptstore.errors import BlobUrlChanged
from ckptstore.maintenance.gc_pass import DEFAULT_GRACE, GcPass
from ckptstore.maintenance.policy import RetentionPolicy
from ckptstore.maintenance.prune_callbacks import NO_CALLBACKS, PruneCallbacks
from ckptstore.maintenance.reports import CollectReport, PruneReport, VacuumReport
from ckptstore.runtime.steps import Steps

logger = logging.getLogger(__name__)


class MaintainedStore(Protocol):
    """The operations of the store that a run consists of."""

    def prune_by(self, policy: RetentionPolicy, now: int, callbacks: PruneCallbacks, *, dry_run: bool) -> Steps[PruneReport]: ...
    def collect(self, gc_pass: GcPass) -> Steps[CollectReport]: ...
    def vacuum_sqlite(self) -> Steps[VacuumReport | None]: ...


def run_maintenance(
    store: MaintainedStore,
    policy: RetentionPolicy,
    clock: Callable[[], int],
    callbacks: PruneCallbacks = NO_CALLBACKS,
    *,
    dry_run: bool = False,
) -> Steps[PruneReport]:
    """Prune, then collect garbage, then vacuum. A prune that was stopped, or that is a dry run, ends the run.

    Objects that are not at the store's blob URL are not collected, which is logged as an error.

    Args:
        store: the store.
        policy: which checkpoints to keep.
        clock: the current time in microseconds since 1970, UTC.
        callbacks: follow the prune, and stop it early.
        dry_run: delete nothing, and report what a run would delete.

    Returns:
        The report of the prune. The objects that it counts are deleted by the garbage collection of a later run, after
        `DEFAULT_GRACE`.
    """
    report = yield from store.prune_by(policy, clock(), callbacks, dry_run=dry_run)
    if not (dry_run or report.stopped):
        try:
            yield from store.collect(GcPass(clock(), DEFAULT_GRACE))
        except BlobUrlChanged as exc:
            # In the background nobody is there to be refused: the database would grow.
            logger.error("blobs are not collected: %s", exc, extra={"event": "not_collected"})  # noqa: TRY400  # the message is complete
        yield from store.vacuum_sqlite()
    return report
