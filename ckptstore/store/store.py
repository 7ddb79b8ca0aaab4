"""The store: whole checkpoints in and out of a database, without a word of LangGraph.

Every operation is written once, as steps that yield the futures they wait for.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TypeVar

from ckptstore.blobs.backends.open import open_backend
from ckptstore.blobs.download import Downloader
from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.blobs.settings import BlobSettings
from ckptstore.db.runner import Runner, Work
from ckptstore.db.settings import DatabaseSettings
from ckptstore.errors import BlobMissing, InvalidConfig, StoreClosed
from ckptstore.maintenance.copy import copy_thread
from ckptstore.maintenance.delete import checkpoints_with_postings, delete_thread
from ckptstore.maintenance.gc import GcPass, collect
from ckptstore.maintenance.policy import RetentionPolicy
from ckptstore.maintenance.prune_plan import Rule, keep_all_but
from ckptstore.maintenance.prune_run import PruneCallbacks, Pruner
from ckptstore.maintenance.reindex import begin_rebuilding, next_threads, rebuild_tags, require_same_keys, store_keys
from ckptstore.maintenance.reports import CollectReport, DeletedRows, PruneReport, VacuumReport, VerifyReport
from ckptstore.maintenance.vacuum import vacuum
from ckptstore.maintenance.verify import verify
from ckptstore.reads import checkpoints as reads
from ckptstore.reads.delta_history import load_history
from ckptstore.reads.planner import CheckpointQuery
from ckptstore.records import ChannelHistory, CheckpointKey, LoadedCheckpoint, Posting, StateFormat
from ckptstore.runtime.steps import Steps
from ckptstore.store.schema_gate import SchemaGate
from ckptstore.tags.keys import EVERYTHING, TagKeys
from ckptstore.values.cache import FolderCache, MemoryCache
from ckptstore.values.decode import Loaded, SegmentSet
from ckptstore.values.known_segments import KnownSegments
from ckptstore.writes.attempt import WriteAttempt, WriteEncoder
from ckptstore.writes.commit import commit_batch
from ckptstore.writes.queue import WriteQueue

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Store:
    """Reads run in parallel; writes go through one queue.

    Args:
        runner: of the database, where the tables are.
        settings: bounds of the queue.
        blobs: where large values go, or None where they stay in the runner.
        blob_settings: parallelism, retries and caches of the blobs.
        tag_keys: the metadata keys that are indexed; None for a store that neither writes tags nor searches by them.
        state_format: what the checkpoints' channels, metadata and namespaces mean, see `ckptstore.langgraph.format`.
        upgrade: whether the first use brings the schema to head (an embedded database) or only checks it (a server).
    """

    def __init__(
        self,
        runner: Runner,
        settings: DatabaseSettings,
        *,
        blobs: str | None,
        blob_settings: BlobSettings,
        upgrade: bool,
        tag_keys: TagKeys | None,
        state_format: StateFormat,
    ) -> None:
        self.runner = runner
        known = KnownSegments()
        self._cache = MemoryCache(blob_settings.cache_bytes)
        self.objects = ObjectRegistry(runner, None if blobs is None else partial(open_backend, blobs, blob_settings), known)
        self.downloads = Downloader(self.objects, self._cache, _folder_cache(blob_settings))
        self._queue = WriteQueue(runner, commit_batch, WriteEncoder(known, self.objects), settings.max_pending)
        agree = partial(require_same_keys, tag_keys=tag_keys) if tag_keys else None
        self._schema_gate = SchemaGate(runner, upgrade=upgrade, then=agree)
        self._tag_keys = tag_keys or EVERYTHING
        self._state_format = state_format
        self._pruner = Pruner(self, state_format)
        self._closed = False
        #: Whether the schema was seen to be right and the store is open: reads and writes need not wait for anything.
        self._is_ready = False

    # --- readiness

    def set_up(self) -> Future[None]:
        """Bring the schema to head."""
        return self._schema_gate.set_up()

    def _ready(self) -> Steps[None]:
        """Wait until the schema is known to be right."""
        if self._closed:
            raise StoreClosed
        yield from self._schema_gate.wait()
        self._is_ready = not self._closed

    # --- writing

    def write(self, attempt: WriteAttempt) -> Steps[None]:
        """Store a write, in the order of the calls for its thread; returns when it is durable."""
        if not self._is_ready:
            yield from self._ready()
        yield self._queue.submit(attempt)

    @property
    def idle_seconds(self) -> float:
        """For how long nobody has put anything here."""
        return time.monotonic() - self._queue.last_write_at

    def run_concurrently(self, work: Work[T], *threads: str) -> Steps[T]:
        """Run work that writes to these threads, and that locks each of them, beside other writes where the database can."""
        if self.runner.statements.on_sqlite:
            return (yield from self.run_in_queue(work, *threads))
        yield from self._ready()
        result: T = yield self.runner.write(work)
        return result

    def run_in_queue(self, work: Work[T], *threads: str) -> Steps[T]:
        """Run work that writes to these threads, in its place in the queue; it opens its own transaction."""
        yield from self._ready()
        result: T = yield self._queue.run(work, *threads)
        return result

    # --- reading

    def newest(self, thread_id: str, checkpoint_ns: str) -> Steps[LoadedCheckpoint | None]:
        """The newest checkpoint of a namespace."""
        work = partial(
            reads.load_newest, thread_id=thread_id, checkpoint_ns=checkpoint_ns, state_format=self._state_format, cache=self._cache
        )
        found = yield from self._load(work)
        return found[0] if found else None

    def exact(self, key: CheckpointKey) -> Steps[LoadedCheckpoint | None]:
        """One checkpoint."""
        work = partial(reads.load_exact, key=key, state_format=self._state_format, cache=self._cache)
        found = yield from self._load(work)
        return found[0] if found else None

    def named(self, keys: Sequence[CheckpointKey]) -> Steps[Loaded[list[LoadedCheckpoint]]]:
        """The checkpoints with these keys, newest first, without what objects hold; missing ones are left out."""
        return self.read(partial(reads.load_named, keys=keys, state_format=self._state_format, cache=self._cache))

    def page(self, search: CheckpointQuery, after: CheckpointKey | None, size: int) -> Steps[reads.Page]:
        """The next checkpoints of a listing, newest first, without what objects hold: see `with_objects`."""
        work = partial(reads.load_page, search=search, after=after, size=size, state_format=self._state_format, cache=self._cache)
        return self.read(work)

    def with_objects(self, checkpoints: Sequence[LoadedCheckpoint], segments: SegmentSet) -> Steps[list[LoadedCheckpoint]]:
        """Checkpoints of a page with what objects hold; those that were pruned and collected meanwhile are left out."""
        wanted = segments.remote_segments(value for loaded in checkpoints for value in loaded.all_values)
        try:
            if wanted:
                segments.local.update((yield self.downloads.fetch(wanted)))
            return list(checkpoints)
        except BlobMissing:
            found: list[LoadedCheckpoint] = []
            for loaded in checkpoints:
                now = yield from self.exact(loaded.key)
                found.extend([now] if now is not None else [])
            return found

    def history(
        self, thread_id: str, checkpoint_ns: str, checkpoint_id: str | None, channels: Sequence[str]
    ) -> Steps[Mapping[str, ChannelHistory]]:
        """What each channel was given on the way to a checkpoint (the newest, where no id is given)."""
        return self._load(
            partial(
                load_history,
                thread_id=thread_id,
                checkpoint_ns=checkpoint_ns,
                checkpoint_id=checkpoint_id,
                channels=channels,
                cache=self._cache,
            )
        )

    def _load(self, work: Work[Loaded[T]]) -> Steps[T]:
        """Read, and fetch what objects hold."""
        loaded = yield from self.read(work)
        wanted = loaded.segments.remote_segments(loaded.values)
        if wanted:
            try:
                fetched: Mapping[str, bytes] = yield self.downloads.fetch(wanted)
            except BlobMissing:
                # It may have been pruned and collected since the rows were read: they say what holds now.
                loaded = yield from self.read(work)
                fetched = yield self.downloads.fetch(loaded.segments.remote_segments(loaded.values))
            loaded.segments.local.update(fetched)
        return loaded.result

    def read(self, work: Work[T]) -> Steps[T]:
        """Run work that reads, once the schema is known to be right."""
        if not self._is_ready:
            yield from self._ready()
        result: T = yield self.runner.read(work)
        return result

    def ready_objects(self) -> Steps[ObjectRegistry]:
        """The objects of a store whose schema is there, and that has a backend.

        Raises:
            InvalidConfig: large values stay in the runner.
        """
        yield from self._ready()
        self.objects.require_backend()
        return self.objects

    # --- deleting and copying

    def delete_thread(self, thread_id: str) -> Steps[DeletedRows]:
        """Delete a thread whole."""
        started = time.perf_counter()
        removed = yield from self.run_in_queue(lambda db: delete_thread(db, thread_id), thread_id)
        seconds = time.perf_counter() - started
        told = {"event": "thread_deleted", "thread_id": thread_id, "checkpoints": removed.checkpoints, "writes": removed.writes}
        told |= {"values": removed.values, "segments": removed.segments, "seconds": seconds}
        logger.info("thread deleted: %d checkpoints, %d writes in %.3f s", removed.checkpoints, removed.writes, seconds, extra=told)
        return removed

    def prune(self, thread_ids: Iterable[str], rule: Rule) -> Steps[PruneReport]:
        """Delete what a rule does not keep of some threads."""
        return self._pruner.threads((thread_id, rule) for thread_id in dict.fromkeys(thread_ids))

    def prune_by(self, policy: RetentionPolicy, now: int, watch: PruneCallbacks, *, dry_run: bool) -> Steps[PruneReport]:
        """Delete what a policy does not keep, in all threads."""
        return self._pruner.by_policy(policy, now, watch, dry_run=dry_run)

    def delete_with_postings(self, wanted: Sequence[Posting]) -> Steps[PruneReport]:
        """Delete the checkpoints that have one of the postings."""
        found = yield from self.read(lambda db: checkpoints_with_postings(db, wanted))
        return (yield from self._pruner.threads((thread_id, keep_all_but(places)) for thread_id, places in found.items()))

    def copy_thread(self, source: str, target: str) -> Steps[int]:
        """Copy a thread to another id."""
        work = partial(copy_thread, source=source, target=target, tag_keys=self._tag_keys, state_format=self._state_format)
        copied = yield from self.run_in_queue(work, source, target)
        logger.info("thread copied: %d checkpoints", copied, extra={"event": "thread_copied", "checkpoints": copied})
        return copied

    # --- tags

    def rebuild_tags(self, progress: Callable[[int], None] = lambda _threads: None) -> Steps[int]:
        """Make the tags of every thread anew, a transaction a thread; returns how many there are.

        Args:
            progress: told the number of threads that are done, a page at a time.
        """
        # Not `_ready`: that the tags were made with other keys is why they are made anew.
        yield self._schema_gate.check_schema()
        started = time.perf_counter()
        yield self._queue.run(partial(begin_rebuilding))
        made, threads, after = 0, 0, ""
        while page := (yield self.runner.read(partial(next_threads, after=after))):
            for thread_id in page:
                work = partial(rebuild_tags, thread_id=thread_id, tag_keys=self._tag_keys, state_format=self._state_format)
                made += yield self._queue.run(work, thread_id)
            after, threads = page[-1], threads + len(page)
            progress(threads)
        yield self._queue.run(partial(store_keys, tag_keys=self._tag_keys))
        seconds = time.perf_counter() - started
        told = {"event": "tags_rebuilt", "tags": made, "threads": threads, "seconds": seconds}
        logger.info("tags rebuilt: %d of %d threads in %.3f s", made, threads, seconds, extra=told)
        return made

    # --- looking after objects

    def collect(self, this: GcPass) -> Steps[CollectReport]:
        """Run one pass of the collector; without a backend there is nothing to collect."""
        yield from self._ready()
        if not self.objects.has_backend:
            return CollectReport(dry_run=this.dry_run)
        report: CollectReport = yield self.objects.run(collect(self.objects, this))
        return report

    def verify(self, *, deep: bool) -> Steps[VerifyReport]:
        """Check all references and objects."""
        yield from self._ready()
        report: VerifyReport = yield self.objects.run(verify(self.objects, deep=deep))
        return report

    # --- space

    def vacuum(self, *, full: bool) -> Steps[VacuumReport]:
        """Give back what deletions have freed."""
        yield from self._ready()
        return (yield from vacuum(self.runner, self._queue, full=full))

    def vacuum_sqlite(self) -> Steps[VacuumReport | None]:
        """The same where it is the file's owner who does it; a server does it by itself."""
        if not self.runner.statements.on_sqlite:
            return None
        try:
            return (yield from self.vacuum(full=False))
        except InvalidConfig as exc:
            logger.warning("%s", exc, extra={"event": "not_vacuumed"})
            return None

    # --- the end

    def close(self) -> None:
        """Write what was accepted, then close every connection. Blocks."""
        self._closed = True
        self._is_ready = False
        try:
            self._queue.close()
            self.objects.close()
        finally:
            self.runner.close()


def _folder_cache(settings: BlobSettings) -> FolderCache | None:
    return FolderCache(Path(settings.cache_folder), settings.cache_folder_bytes) if settings.cache_folder else None
