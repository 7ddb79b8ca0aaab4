"""Upkeep: retention, garbage collection of blobs, verification, vacuum, and rebuilding the index of metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.serde.base import SerializerProtocol

from ckptstore.errors import InvalidConfig, InvalidPolicy, brief, require_functions
from ckptstore.langgraph.base import SaverBase
from ckptstore.maintenance.gc_pass import DEFAULT_GRACE, GcPass
from ckptstore.maintenance.policy import RetentionPolicy
from ckptstore.maintenance.prune_callbacks import PruneCallbacks, ignore_progress, never_stop
from ckptstore.runtime.steps import Steps, drive, drive_async

if TYPE_CHECKING:
    from ckptstore.maintenance.reports import CollectReport, EraseReport, PruneReport, ReencryptReport, VacuumReport, VerifyReport


def _ignore(_report: ReencryptReport) -> None:
    pass


def ignore_erasure(_report: EraseReport) -> None:
    """Show nothing."""


def checked_grace(grace: timedelta) -> timedelta:
    """A period of grace.

    Raises:
        InvalidConfig: it is something else, or negative.
    """
    if not isinstance(grace, timedelta):
        raise InvalidConfig(f"grace must be a timedelta, got {brief(grace)}")
    if grace < timedelta(0):
        raise InvalidConfig(f"grace must not be negative, got {grace}")
    return grace


class Upkeep(SaverBase):
    """The part of the saver that keeps a database small and checks it."""

    def prune_older_than(self, age: timedelta) -> PruneReport:
        """Delete the checkpoints of all threads that are older than an age, and writes of that age without a checkpoint.

        Ancestors that a remaining checkpoint is rebuilt from are kept. With an age of zero, everything up to now is deleted.
        """
        return self.prune_by(RetentionPolicy(max_age=age))

    async def aprune_older_than(self, age: timedelta) -> PruneReport:
        """See `prune_older_than`."""
        return await self.aprune_by(RetentionPolicy(max_age=age))

    def prune_by(
        self,
        policy: RetentionPolicy,
        *,
        dry_run: bool = False,
        progress: Callable[[PruneReport], None] = ignore_progress,
        should_stop: Callable[[], bool] = never_stop,
    ) -> PruneReport:
        """Delete the checkpoints of all threads that a policy does not keep, in small transactions between which writers continue.

        A run can be stopped at any time, also by cancelling `aprune_by` or by killing the process: after each transaction, every
        remaining checkpoint reads as before, and the next run continues. It also finishes deletions of threads whose process died.

        Args:
            policy: what to keep.
            dry_run: only read, and report what a run would delete.
            progress: called after each transaction with the report so far.
            should_stop: called before each transaction; if it returns True, the run ends and its report has `stopped` set.

        Returns:
            What was deleted.

        Raises:
            InvalidPolicy: `policy` is something else.
            DatabaseUnavailable: the database can't be reached; finished transactions remain.
        """
        return drive(self._prune_by(policy, PruneCallbacks(progress, should_stop), dry_run))

    async def aprune_by(
        self,
        policy: RetentionPolicy,
        *,
        dry_run: bool = False,
        progress: Callable[[PruneReport], None] = ignore_progress,
        should_stop: Callable[[], bool] = never_stop,
    ) -> PruneReport:
        """See `prune_by`."""
        return await drive_async(self._prune_by(policy, PruneCallbacks(progress, should_stop), dry_run))

    def _prune_by(self, policy: RetentionPolicy, callbacks: PruneCallbacks, dry_run: bool) -> Steps[PruneReport]:
        if not isinstance(policy, RetentionPolicy):
            raise InvalidPolicy(
                f"policy must be a RetentionPolicy, got {brief(policy)}; RetentionPolicy.from_dict makes one of plain values"
            )
        require_functions(**callbacks._asdict())
        return self.store.wherever(lambda: self.store.prune_by(policy, self._now(), callbacks, dry_run=dry_run))

    # --- serialiser

    def reencrypt(
        self, old: SerializerProtocol, *, allow_plain: bool = False, progress: Callable[[ReencryptReport], None] = _ignore
    ) -> ReencryptReport:
        """Store every value, task's write and checkpoint's body anew under this saver's serialiser, in short transactions.

        For a change of keys: first give every process `key_ring(new, old)`, which reads both and writes with the new key; then run this
        on a saver with the new one; then take the old key away. Between LangGraph's own serialisers no object is built. A run that was
        interrupted is repeated; it leaves what is done. Afterwards the old segments are deleted, and the objects of old values by
        later passes of `collect`.

        Args:
            old: the serialiser that wrote the store.
            allow_plain: whether values that are not encrypted are taken too, under an `old` that encrypts.
            progress: called after each transaction with the report so far.

        Raises:
            InvalidConfig: this saver's serialiser reads what `old` writes, or `old` is no serialiser.
            SerializationFailed: a value that neither can read; what was done before is kept.
            NotEncrypted: a value that is not encrypted, without `allow_plain`.
            CheckpointCorrupt: a row was altered.
        """
        return drive(self._reencrypt(old, allow_plain, progress))

    async def areencrypt(
        self, old: SerializerProtocol, *, allow_plain: bool = False, progress: Callable[[ReencryptReport], None] = _ignore
    ) -> ReencryptReport:
        """See `reencrypt`."""
        return await drive_async(self._reencrypt(old, allow_plain, progress))

    def _reencrypt(self, old: SerializerProtocol, allow_plain: bool, progress: Callable[[ReencryptReport], None]) -> Steps[ReencryptReport]:
        from ckptstore.langgraph.recode import Recoder

        if not isinstance(old, SerializerProtocol):
            raise InvalidConfig(f"old must be the serialiser that wrote the store, got {brief(old)}")
        require_functions(progress=progress)
        return self.store.reencrypt(Recoder(old, self.serde, allow_plain=allow_plain), self._now(), progress)

    # --- blobs

    def collect(self, *, dry_run: bool = False, grace: timedelta = DEFAULT_GRACE) -> CollectReport:
        """Run one garbage collection pass over the blobs; run it regularly.

        A pass marks blobs that nothing refers to and that were not used for the grace period. A later pass deletes blobs that have been
        marked for as long, unless something refers to them again. Writers, also in other processes, can continue meanwhile.

        Args:
            dry_run: only count what a pass would mark and delete.
            grace: must be longer than the longest upload, and longer than a graph takes from putting a blob to storing its handle.

        Returns:
            What was marked and deleted.

        Raises:
            InvalidConfig: `grace` is negative.
            BlobUrlChanged: the blobs of the database are not at this saver's `blob_url`; nothing was marked or deleted.
            DatabaseUnavailable: the database can't be reached; the next pass finishes what this one began.
        """
        return drive(self._collect(dry_run, grace))

    async def acollect(self, *, dry_run: bool = False, grace: timedelta = DEFAULT_GRACE) -> CollectReport:
        """See `collect`."""
        return await drive_async(self._collect(dry_run, grace))

    def _collect(self, dry_run: bool, grace: timedelta) -> Steps[CollectReport]:
        gc_pass = GcPass(self._now(), checked_grace(grace), dry_run)
        return self.store.wherever(lambda: self.store.collect(gc_pass))

    def erase(
        self,
        filter: Mapping[str, Any],
        *,
        grace: timedelta = timedelta(0),
        dry_run: bool = False,
        progress: Callable[[EraseReport], None] = ignore_erasure,
    ) -> EraseReport:
        """Delete every thread of which a checkpoint matches, whole, and the blobs that only these threads used, now.

        For requests to be forgotten: `await saver.aerase({"user_id": "ann"})`. A thread with checkpoints of several users is erased
        whole. It is safe to run it again, after an interruption too: blobs that were left are deleted by the collector.

        Args:
            filter: a metadata filter, as for `list`; not an empty one.
            grace: with more than zero, blobs are left to the collector, which keeps them for its own period of grace.
            dry_run: delete nothing, and report which threads would be.
            progress: called after each thread.

        Returns:
            What was deleted and when, how many blobs others use too, and what the erasure does not reach.

        Raises:
            InvalidFilter: the filter has no meaning.
            InvalidConfig: the filter is empty, or `grace` is negative.
            DatabaseUnavailable: the database can't be reached; run it again.
        """
        return drive(self._erase(filter, grace, dry_run, progress))

    async def aerase(
        self,
        filter: Mapping[str, Any],
        *,
        grace: timedelta = timedelta(0),
        dry_run: bool = False,
        progress: Callable[[EraseReport], None] = ignore_erasure,
    ) -> EraseReport:
        """See `erase`."""
        return await drive_async(self._erase(filter, grace, dry_run, progress))

    def _erase(
        self, wanted: Mapping[str, Any], grace: timedelta, dry_run: bool, progress: Callable[[EraseReport], None]
    ) -> Steps[EraseReport]:
        from ckptstore.store.erasing import Erasure

        require_functions(progress=progress)
        erasure = Erasure(self.store, self._parse_filter(wanted), checked_grace(grace), self._now, progress)
        return self.store.wherever(lambda: erasure.run(dry_run=dry_run))

    def relocate_blobs(self, *, force: bool = False) -> None:
        """Say that the blobs of the database are at this saver's `blob_url` from now on, after they were copied there.

        The database remembers where its first blob was uploaded. A saver with another `blob_url` logs a warning, and refuses to collect.

        Args:
            force: do so although blobs are missing there.

        Raises:
            BlobUrlChanged: blobs are missing there; nothing was changed.
            InvalidConfig: the saver has no `blob_url`, and its database is not a SQLite file.
            BlobUnavailable: the backend failed; nothing was changed.
        """
        drive(self.store.relocate_blobs(force=force))

    async def arelocate_blobs(self, *, force: bool = False) -> None:
        """See `relocate_blobs`."""
        await drive_async(self.store.relocate_blobs(force=force))

    def verify(self, *, deep: bool = False) -> VerifyReport:
        """Check every row by its checksum and that what it refers to exists, and list objects in the backend that are not registered.

        Args:
            deep: also read every object and segment and check its digest, instead of only the size, and let SQLite check its file.

        Returns:
            What was checked, and what is missing or corrupt.

        Raises:
            BlobUnavailable: the backend failed.
        """
        return drive(self.store.verify(deep=bool(deep)))

    async def averify(self, *, deep: bool = False) -> VerifyReport:
        """See `verify`."""
        return await drive_async(self.store.verify(deep=bool(deep)))

    # --- space

    def vacuum(self, *, full: bool = False) -> VacuumReport:
        """Free the space of deleted rows: for the file system on SQLite, for later writes on PostgreSQL.

        Args:
            full: rewrite everything; nothing else can use the SQLite file, or the table that is being rewritten, meanwhile. On SQLite that
                is one step, which takes about a second for each 100 MB: other writes wait, or fail with `DatabaseUnavailable`
                after `retry_seconds`. All other upkeep works in small steps.

        Returns:
            The size before and after, in bytes.

        Raises:
            InvalidConfig: the SQLite file was created by another tool and needs `full` once.
        """
        return drive(self.store.vacuum(full=full))

    async def avacuum(self, *, full: bool = False) -> VacuumReport:
        """See `vacuum`."""
        return await drive_async(self.store.vacuum(full=full))

    # --- tags

    def rebuild_tags(self) -> int:
        """Rebuild all tags with this saver's `tag_keys`. Stop other writers first.

        Returns:
            How many tags there are afterwards.

        Raises:
            DatabaseUnavailable: the database can't be reached; run it again, it starts from the beginning.
        """
        return drive(self.store.rebuild_tags())

    async def arebuild_tags(self) -> int:
        """See `rebuild_tags`."""
        return await drive_async(self.store.rebuild_tags())
