"""What a retention policy would delete now."""

from __future__ import annotations

import time
from collections.abc import Callable

from ckptstore.maintenance.policy import RetentionPolicy
from ckptstore.maintenance.prune_callbacks import PruneCallbacks
from ckptstore.maintenance.reports import PruneReport
from ckptstore.runtime.steps import Steps
from ckptstore.store.store import Store


def dry_run(
    store: Store, policy: RetentionPolicy, now: int, max_seconds: float, clock: Callable[[], float] = time.monotonic
) -> Steps[PruneReport]:
    """Count what a prune by a policy would delete. It reads all threads that lose something.

    Args:
        store: the store.
        policy: which checkpoints are kept.
        now: the time from which ages count (microseconds since 1970, UTC).
        max_seconds: after this time the report is of what was found so far, and says so (`stopped`).
        clock: seconds of a clock that never goes back.
    """
    until = clock() + max_seconds

    def ignore(_: PruneReport) -> None:
        """Nobody watches."""

    return store.prune_by(policy, now, PruneCallbacks(ignore, lambda: clock() > until), dry_run=True)
