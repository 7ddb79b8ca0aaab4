"""A maintenance run: which operations it consists of, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from ckptstore import PruneReport, RetentionPolicy
from ckptstore.maintenance.gc_pass import GcPass
from ckptstore.maintenance.prune_callbacks import PruneCallbacks
from ckptstore.maintenance.reports import CollectReport, VacuumReport
from ckptstore.maintenance.run import run_maintenance
from ckptstore.runtime.steps import Steps, drive

POLICY = RetentionPolicy(keep_last=1)
HOUR = 3_600_000_000


class RecordingStore:
    """Records the operations that a run calls."""

    def __init__(self, *, stopped: bool) -> None:
        self.report = PruneReport(checkpoints=3, stopped=stopped)
        self.called: list[object] = []

    def prune_by(self, policy: RetentionPolicy, now: int, callbacks: PruneCallbacks, *, dry_run: bool) -> Steps[PruneReport]:
        self.called.append(("prune", policy, now, dry_run))
        yield from ()
        return self.report

    def collect(self, gc_pass: GcPass) -> Steps[CollectReport]:
        self.called.append(("collect", gc_pass))
        yield from ()
        return CollectReport()

    def vacuum_sqlite(self) -> Steps[VacuumReport | None]:
        self.called.append("vacuum")
        yield from ()
        return None


@pytest.fixture
def clock() -> Iterator[int]:
    """An hour passes from one look to the next."""
    return iter(range(0, 10 * HOUR, HOUR))


def test_a_run_prunes_then_collects_with_a_days_grace_then_vacuums(clock: Iterator[int]) -> None:
    store = RecordingStore(stopped=False)
    assert drive(run_maintenance(store, POLICY, lambda: next(clock))) is store.report
    assert store.called == [("prune", POLICY, 0, False), ("collect", GcPass(HOUR, timedelta(hours=24))), "vacuum"]


@pytest.mark.parametrize(("stopped", "dry_run"), [(True, False), (False, True)])
def test_a_stopped_run_and_a_dry_run_only_prune(clock: Iterator[int], stopped: bool, dry_run: bool) -> None:
    store = RecordingStore(stopped=stopped)
    assert drive(run_maintenance(store, POLICY, lambda: next(clock), dry_run=dry_run)) is store.report
    assert store.called == [("prune", POLICY, 0, dry_run)]
