"""Deleting, pruning and copying threads, and the upkeep of tags, objects and disk space.

What does the work is loaded by the first call: most processes put and get only.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.db.runner import Runner, Work
from ckptstore.db.turns import LockTurns
from ckptstore.errors import CheckpointCorrupt, DatabaseUnavailable, InvalidConfig
from ckptstore.maintenance.prune_plan import CheckpointRef, Rule, keep_all_but
from ckptstore.maintenance.reindex import RebuiltTags, begin_rebuilding, next_threads, rebuild_tags, store_keys
from ckptstore.maintenance.tag_values import delete_values_left
from ckptstore.records import Posting
from ckptstore.runtime.steps import Steps
from ckptstore.store.base import StoreBase
from ckptstore.store.load import delete_old
from ckptstore.store.stale_reads import StaleReads

if TYPE_CHECKING:
    from ckptstore.maintenance.delete import LargeThread
    from ckptstore.maintenance.gc_pass import GcPass
    from ckptstore.maintenance.policy import RetentionPolicy
    from ckptstore.maintenance.prune_callbacks import PruneCallbacks
    from ckptstore.maintenance.prune_run import Pruner
    from ckptstore.maintenance.reencrypt import Recode
    from ckptstore.maintenance.reports import CollectReport, DeletedRows, PruneReport, ReencryptReport, VacuumReport, VerifyReport

T = TypeVar("T")

logger = logging.getLogger(__name__)


def _reading_from(runner: Runner, objects: ObjectRegistry) -> ObjectRegistry:
    """A registry with the same loop and the same backend, and another database to read from."""
    other = copy.copy(objects)
    other.runner = runner
    return other


class StoreUpkeep(StoreBase):
    """The part of the store that deletes, copies, checks and rebuilds."""

    @property
    def turns(self) -> LockTurns:
        """How long upkeep pauses for others."""
        return self.objects.turns

    # --- threads

    def delete_thread(self, thread_id: str) -> Steps[DeletedRows]:
        """Delete everything that a thread has, a large thread in small transactions between which others write."""
        with self.monitor.delete_thread.observed((thread_id, None, None)):
            return (yield from self._delete_thread(thread_id))

    def _delete_thread(self, thread_id: str) -> Steps[DeletedRows]:
        from ckptstore.maintenance.delete import LargeThread, delete_thread

        started = time.perf_counter()
        deleted = yield from self.run_in_queue(partial(delete_thread, thread_id=thread_id), thread_id)
        if isinstance(deleted, LargeThread):
            deleted = yield from self._delete_large_thread(thread_id, deleted)
        seconds = time.perf_counter() - started
        fields = {"event": "thread_deleted", "thread_id": thread_id, "checkpoints": deleted.checkpoints, "writes": deleted.writes}
        fields |= {"values": deleted.values, "segments": deleted.segments, "seconds": seconds}
        logger.info("thread deleted: %d checkpoints, %d writes in %.3f s", deleted.checkpoints, deleted.writes, seconds, extra=fields)
        return deleted

    def _delete_large_thread(self, thread_id: str, content: LargeThread) -> Steps[DeletedRows]:
        from ckptstore.maintenance.delete import delete_thread, forget_unfinished
        from ckptstore.maintenance.reports import DeletedRows

        try:
            report = yield from self._new_pruner().large_thread(thread_id, content)
        except CheckpointCorrupt:
            # It can't be planned. To delete it is what the error advises.
            work = partial(delete_thread, thread_id=thread_id, at_once=True)
            deleted = yield from self.run_in_queue(work, thread_id)
            assert isinstance(deleted, DeletedRows)
            return deleted
        yield from self.run_in_queue(partial(forget_unfinished, thread_id=thread_id), thread_id)
        return DeletedRows(**report.counts(), object_keys=())

    def finish_deletions(self, thread_id: str | None = None) -> Steps[None]:
        """Finish the deletions of large threads whose process died.

        What brings checkpoints with their ids, such as a copy, does that first: later, those would be deleted with what is left.

        Args:
            thread_id: only of this thread.
        """
        from ckptstore.maintenance.delete import unfinished_deletions

        unfinished = yield from self.read(partial(unfinished_deletions, thread_ids=None if thread_id is None else [thread_id]))
        for each, content in unfinished.items():
            deleted = yield from self._delete_large_thread(each, content)
            fields = {"event": "deletion_finished", "thread_id": each, "checkpoints": deleted.checkpoints}
            logger.info("finished the deletion of a thread: %d checkpoints", deleted.checkpoints, extra=fields)

    def copy_thread(self, source: str, target: str) -> Steps[int]:
        """Copy everything that a thread has to another thread id; returns how many checkpoints the target has afterwards."""
        from ckptstore.maintenance.copy_run import ThreadCopier

        yield from self.finish_deletions(target)
        copied = yield from ThreadCopier(self, self._tag_keys, self._state_format).copy(source, target)
        logger.info("thread copied: %d checkpoints", copied, extra={"event": "thread_copied", "checkpoints": copied})
        return copied

    # --- pruning

    def _new_pruner(self, *, stale: bool = False) -> Pruner:
        from ckptstore.maintenance.prune_run import Pruner

        return Pruner(StaleReads(self) if stale else self, self._state_format)

    def prune(self, thread_ids: Iterable[str], rule: Rule) -> Steps[PruneReport]:
        """Delete the checkpoints of these threads that a rule does not keep."""
        return self._observed_prune(self._new_pruner().threads((thread_id, rule) for thread_id in dict.fromkeys(thread_ids)))

    def prune_by(self, policy: RetentionPolicy, now: int, callbacks: PruneCallbacks, *, dry_run: bool) -> Steps[PruneReport]:
        """Delete the checkpoints of all threads that a policy does not keep, see `Pruner.by_policy`.

        Before that, finish the deletions of threads whose process died, and delete old rows of the load; the report does not count them.
        """
        if not dry_run:
            yield from self.finish_deletions()
            yield from self.run_in_queue(partial(delete_old, now=now))
        pruner = self._new_pruner(stale=dry_run)
        return (yield from self._observed_prune(pruner.by_policy(policy, now, callbacks, dry_run=dry_run)))

    def _observed_prune(self, pruning: Steps[PruneReport]) -> Steps[PruneReport]:
        with self.monitor.prune.observed():
            report = yield from pruning
        if not report.dry_run:
            self.monitor.reclaimed("prune", report.bytes)
            yield from delete_values_left(self.read, self.run_in_queue)
        return report

    def delete_with_postings(self, wanted: Sequence[Posting]) -> Steps[PruneReport]:
        """Delete the checkpoints that have at least one of these postings."""
        from ckptstore.maintenance.delete import checkpoints_with_postings

        self.monitor.searched({posting.key for posting in wanted})
        found = yield from self.read(partial(checkpoints_with_postings, wanted=wanted))
        return (yield from self._new_pruner().threads((thread_id, keep_all_but(refs)) for thread_id, refs in found.items()))

    # --- tags

    def rebuild_tags(self, progress: Callable[[int], None] = lambda _threads: None) -> Steps[int]:
        """Rebuild the tags of all threads, some checkpoints in each transaction; returns how many tags there are afterwards.

        Args:
            progress: called after each page of threads with the number of threads that are done.
        """
        from ckptstore.maintenance.turns import in_turn

        # Only the schema: tags that were made with other `tag_keys`, which the gate refuses, are the reason to rebuild them.
        yield self._schema_gate.check_schema()
        started = time.perf_counter()
        yield self._queue.run(begin_rebuilding)
        tags, threads, after = 0, 0, ""
        while page := (yield from self._threads_after(after)):
            for thread_id in page:
                rebuild = partial(rebuild_tags, thread_id=thread_id, tag_keys=self._tag_keys, state_format=self._state_format)
                last: CheckpointRef | None = CheckpointRef("", "")
                while last is not None:
                    rebuilt: RebuiltTags = yield from in_turn(self, self._run_unchecked(partial(rebuild, after=last), thread_id))
                    tags, last = tags + rebuilt.tag_count, rebuilt.last
            after, threads = page[-1], threads + len(page)
            progress(threads)
        yield self._queue.run(partial(store_keys, tag_keys=self._tag_keys))
        yield from delete_values_left(self.read, self.run_in_queue)
        seconds = time.perf_counter() - started
        fields = {"event": "tags_rebuilt", "tags": tags, "threads": threads, "seconds": seconds}
        logger.info("tags rebuilt: %d of %d threads in %.3f s", tags, threads, seconds, extra=fields)
        return tags

    def _run_unchecked(self, work: Work[T], *threads: str) -> Steps[T]:
        result: T = yield self._queue.run(work, *threads)
        return result

    def _threads_after(self, after: str) -> Steps[list[str]]:
        page: list[str] = yield self.runner.read(partial(next_threads, after=after))
        return page

    # --- serialiser

    def reencrypt(self, recode: Recode, now: int, progress: Callable[[ReencryptReport], None]) -> Steps[ReencryptReport]:
        """Store every value anew under another serialiser, then delete the segments and, later, the objects of the old one."""
        from ckptstore.maintenance.reencrypt import Reencryption

        yield from self._ready()
        started = time.perf_counter()
        report: ReencryptReport = yield self.objects.run(Reencryption(self.objects, self.downloads, recode, now, progress).run())
        after = ""
        while page := (yield from self._threads_after(after)):
            # Nothing is pruned but the segments that no value names any more.
            yield from self.prune(page, keep_all_but(frozenset()))
            after = page[-1]
        fields = {"event": "reencrypted", **asdict(report), "seconds": time.perf_counter() - started}
        logger.info("stored anew: %d checkpoints, %d values, %d writes", report.checkpoints, report.values, report.writes, extra=fields)
        return report

    # --- objects

    def collect(self, gc_pass: GcPass) -> Steps[CollectReport]:
        """Run one garbage collection pass over the objects.

        Raises:
            BlobUrlChanged: the database's objects are not at this store's blob URL.
        """
        from ckptstore.maintenance.hold import is_held
        from ckptstore.maintenance.reports import CollectReport

        yield from self.require_blob_url()
        if (yield from self.read(partial(is_held, now=gc_pass.now))):
            logger.warning("a backup is under way: no blobs are collected", extra={"event": "collector_held"})
            return CollectReport(dry_run=gc_pass.dry_run, held=True)
        with self.monitor.collect.observed():
            report = yield from self._collect(gc_pass)
        if not gc_pass.dry_run:
            self.monitor.reclaimed("collect", report.deleted_bytes)
        return report

    def _collect(self, gc_pass: GcPass) -> Steps[CollectReport]:
        from ckptstore.maintenance.gc import collect

        stale_runner = (yield from self.replica.usable_runner()) if gc_pass.dry_run and self.replica is not None else None
        report: CollectReport
        if stale_runner is not None:
            with suppress(DatabaseUnavailable):
                report = yield self.objects.run(collect(_reading_from(stale_runner, self.objects), gc_pass))
                return report
        report = yield self.objects.run(collect(self.objects, gc_pass))
        return report

    def require_blob_url(self) -> Steps[None]:
        """Return if the database has no objects, or they are at this store's blob URL, see `BlobLocation.require`."""
        yield from self._ready()
        yield self.objects.run(self.objects.location.require(self.objects))

    def relocate_blobs(self, *, force: bool) -> Steps[None]:
        """Remember that the objects are at this store's blob URL from now on, see `maintenance.relocate`."""
        from ckptstore.maintenance.relocate import relocate

        objects = yield from self.ready_objects()
        objects.require_backend()
        yield objects.run(relocate(objects, force=force))

    def verify(self, *, deep: bool) -> Steps[VerifyReport]:
        """Check that every segment and object that is referred to exists; with `deep`, that their bytes have their digests."""
        from ckptstore.maintenance.verify import verify

        yield from self._ready()
        report: VerifyReport = yield self.objects.run(verify(self.objects, self._state_format, deep=deep))
        return report

    # --- disk space

    def vacuum(self, *, full: bool) -> Steps[VacuumReport]:
        """Free the space of deleted rows, see `maintenance.vacuum`."""
        from ckptstore.maintenance.vacuum import vacuum

        yield from self._ready()
        report = yield from vacuum(self, self.runner, full=full)
        self.monitor.reclaimed("vacuum", report.before_bytes - report.after_bytes)
        return report

    def vacuum_sqlite(self) -> Steps[VacuumReport | None]:
        """Run an incremental VACUUM on SQLite; None on PostgreSQL, where autovacuum does it, and if the file does not allow it."""
        if not self.runner.statements.on_sqlite:
            return None
        try:
            return (yield from self.vacuum(full=False))
        except InvalidConfig as exc:
            logger.warning("%s", exc, extra={"event": "not_vacuumed"})
            return None
