"""Upkeep: retention, garbage collection of blobs, verification, vacuum, and rebuilding the index of metadata."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from ckptstore.errors import InvalidConfig
from ckptstore.langgraph.base import SaverBase
from ckptstore.maintenance.gc import DEFAULT_GRACE, GcPass
from ckptstore.maintenance.policy import RetentionPolicy
from ckptstore.maintenance.prune_progress import PruneCallbacks, ignore_progress, never_stop
from ckptstore.maintenance.reports import CollectReport, PruneReport, VacuumReport, VerifyReport
from ckptstore.runtime.steps import Steps, drive, drive_async


class Upkeep(SaverBase):
    """The part of the saver that keeps a database small and checks it."""

    def prune_older_than(self, age: timedelta) -> PruneReport:
        """Delete the checkpoints older than an age, and writes whose checkpoint never came, of all threads.

        Ancestors stay that a remaining checkpoint is read from. An age of zero means: older than now.
        """
        return self.prune_by(RetentionPolicy(max_age=age))

    async def aprune_older_than(self, age: timedelta) -> PruneReport:
        """As `prune_older_than`."""
        return await self.aprune_by(RetentionPolicy(max_age=age))

    def prune_by(
        self,
        policy: RetentionPolicy,
        *,
        dry_run: bool = False,
        progress: Callable[[PruneReport], None] = ignore_progress,
        should_stop: Callable[[], bool] = never_stop,
    ) -> PruneReport:
        """Delete what a policy does not keep, in all threads, in small transactions: writers go on.

        It can be stopped at any time, also by cancelling `aprune_by` or by killing the process: after each transaction all that
        can still be found reads as it did, and the next run does the rest.

        Args:
            policy: what stays.
            dry_run: delete nothing, and report what would go: threads are pruned, and that is rolled back.
            progress: told what went so far, after each transaction.
            should_stop: asked before each transaction; at True the run ends, and its report says `stopped`.

        Raises:
            DatabaseUnavailable: the database can't be reached; what was done is done.
        """
        return drive(self.store.prune_by(policy, self._now(), PruneCallbacks(progress, should_stop), dry_run=dry_run))

    async def aprune_by(
        self,
        policy: RetentionPolicy,
        *,
        dry_run: bool = False,
        progress: Callable[[PruneReport], None] = ignore_progress,
        should_stop: Callable[[], bool] = never_stop,
    ) -> PruneReport:
        """As `prune_by`."""
        return await drive_async(self.store.prune_by(policy, self._now(), PruneCallbacks(progress, should_stop), dry_run=dry_run))

    # --- blobs

    def collect(self, *, dry_run: bool = False, grace: timedelta = DEFAULT_GRACE) -> CollectReport:
        """Delete blobs that nothing refers to any more: one pass; run it now and then.

        A pass marks what nothing refers to and nobody used for a period of grace; a later one deletes what has been
        marked for as long, unless something refers to it again. Safe beside writers, in other processes too.

        Args:
            dry_run: only count what a pass would do.
            grace: longer than the longest upload, and than a graph takes from putting a blob to the checkpoint that holds its handle.

        Raises:
            InvalidConfig: the period of grace is negative.
            DatabaseUnavailable: the database can't be reached; what was begun is finished by the next pass.
        """
        return drive(self._collect(dry_run, grace))

    async def acollect(self, *, dry_run: bool = False, grace: timedelta = DEFAULT_GRACE) -> CollectReport:
        """As `collect`."""
        return await drive_async(self._collect(dry_run, grace))

    def _collect(self, dry_run: bool, grace: timedelta) -> Steps[CollectReport]:
        if grace < timedelta(0):
            raise InvalidConfig(f"grace must not be negative, got {grace}")
        return self.store.collect(GcPass(self._now(), grace, dry_run))

    def verify(self, *, deep: bool = False) -> VerifyReport:
        """Check that all segments and objects are there, and name what the backend holds beside them.

        Args:
            deep: read every object and segment and check its digest, not only its size.

        Raises:
            BlobUnavailable: the backend failed.
        """
        return drive(self.store.verify(deep=deep))

    async def averify(self, *, deep: bool = False) -> VerifyReport:
        """As `verify`."""
        return await drive_async(self.store.verify(deep=deep))

    # --- space

    def vacuum(self, *, full: bool = False) -> VacuumReport:
        """Give back what deletions have freed: to the file system on SQLite, to later writes on PostgreSQL.

        Args:
            full: rewrite everything at once, with everybody else locked out.

        Raises:
            InvalidConfig: a SQLite file that another tool made, and that needs `full` once.
        """
        return drive(self.store.vacuum(full=full))

    async def avacuum(self, *, full: bool = False) -> VacuumReport:
        """As `vacuum`."""
        return await drive_async(self.store.vacuum(full=full))

    # --- tags

    def rebuild_tags(self) -> int:
        """Make all tags anew, with this saver's `tag_keys`; returns how many there are. Nobody else should write meanwhile.

        Raises:
            DatabaseUnavailable: the database can't be reached; run it again, it starts over.
        """
        return drive(self.store.rebuild_tags())

    async def arebuild_tags(self) -> int:
        """As `rebuild_tags`."""
        return await drive_async(self.store.rebuild_tags())
