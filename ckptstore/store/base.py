"""What every operation of the store stands on: the schema gate, reads in parallel, and one queue for writes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

from ckptstore.blobs.backends.open import open_backend
from ckptstore.blobs.download import Downloader
from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.blobs.settings import BlobSettings
from ckptstore.db.connection import Db
from ckptstore.db.layout import AS_IT_IS, Layout
from ckptstore.db.runner import Runner, Work
from ckptstore.db.settings import DatabaseSettings
from ckptstore.errors import CkptStoreError, StoreClosed
from ckptstore.maintenance.reindex import require_same_keys
from ckptstore.monitoring.attributes import database_attributes
from ckptstore.monitoring.gauges import Gauges
from ckptstore.monitoring.operation import Operation
from ckptstore.monitoring.records import SaverStats
from ckptstore.reads.one_checkpoint import CachedReads
from ckptstore.records import StateFormat
from ckptstore.runtime.future import Future
from ckptstore.runtime.logged_names import LoggedNames
from ckptstore.runtime.steps import Steps, drive
from ckptstore.runtime.worker_threads import run_in_thread
from ckptstore.store.hints import hint_at_import
from ckptstore.store.leases import Leases
from ckptstore.store.load import LoadRecorder
from ckptstore.store.replica import Replica
from ckptstore.store.schema_gate import SchemaGate
from ckptstore.tags.keys import EVERYTHING, TagKeys
from ckptstore.values.cache import FolderCache, MemoryCache
from ckptstore.values.known_segments import KnownSegments
from ckptstore.writes.attempt import WriteAttempt, WriteEncoder
from ckptstore.writes.commit import begin_batch, commit_batch
from ckptstore.writes.queue import WriteQueue

T = TypeVar("T")

# What each part may take to close, although the time for all of them has passed.
_LAST_SECONDS = 1.0


class StoreBase:
    """Connections, caches and queue of a store, and the ways in which work runs on them.

    Args:
        runner: runs work on the database that holds the tables.
        settings: bounds of the write queue.
        blobs: the URL of the backend for large values; None to keep them in the database.
        blob_settings: parallelism, retries and caches of the blobs.
        upgrade: True if the first use brings the schema to head (an embedded database), False if it only checks it (a server).
        tag_keys: the metadata keys that are indexed; None for a store that neither writes tags nor searches by them.
        state_format: what channels, metadata and namespaces of the checkpoints mean, see `ckptstore.langgraph.format`.
        replica: a standby for reads that may be some seconds old; None for none.
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
        replica: Replica | None = None,
    ) -> None:
        self.replica = replica
        self.monitor = runner.monitor
        self.wants_tags, self._tag_keys = tag_keys, tag_keys or EVERYTHING
        self._state_format = state_format
        self._settings, self._blob_settings = settings, blob_settings
        self._close_seconds = settings.close_seconds
        self._closed = False
        self._closing: Future[None] | None = None
        #: Who may write to a thread, where that is asked for.
        self.leases = Leases(self)
        #: Paths of the tag index about which it was logged that no checkpoint has them.
        self._logged_keys = LoggedNames()
        self._open(runner, blobs, upgrade=upgrade)

    def _open(self, runner: Runner, blobs: str | None, *, upgrade: bool) -> None:
        """Set up connections, caches and queue for a place, see the constructor."""
        #: True once the schema was checked, while the store is open: reads and writes then start at once.
        self._is_ready = False
        self.runner = runner
        self._cache = MemoryCache(self._blob_settings.cache_bytes, self.monitor.counters)
        self._cached_reads = CachedReads()
        opened = None if blobs is None else partial(open_backend, blobs, self._blob_settings, self.monitor)
        self.objects = ObjectRegistry(runner, opened, self._blob_settings)
        self.downloads = Downloader(self.objects, self._cache, _folder_cache(self._blob_settings))
        encoder = WriteEncoder(KnownSegments(), self.objects, self._cache.put)
        self._queue = self._new_queue(runner, encoder)
        self.load = LoadRecorder(runner, partial(getattr, self._queue, "depth"))
        self._schema_gate = SchemaGate(runner, upgrade=upgrade, also_check=self._check_settings)
        #: Paths of the tag index that some checkpoint has.
        self._used_keys: set[str] = set()
        self.monitor.start(database_attributes(runner.url, runner.statements.schema), self._gauges)

    def _new_queue(self, runner: Runner, encoder: WriteEncoder) -> WriteQueue:
        return WriteQueue(runner, commit_batch, encoder, self._settings, begin_batch=begin_batch)

    def _gauges(self) -> Gauges | None:
        pool = None if self._closed else self.runner.pool_use()
        return None if pool is None else Gauges(self._queue.depth, self._queue.in_flight, pool.in_use, pool.idle)

    # --- schema

    def _check_settings(self, db: Db) -> None:
        """Compare this store with the settings that all savers on the database share."""
        if self.wants_tags is None:
            self.objects.location.look_up(db)
            return
        require_same_keys(db, self.wants_tags)
        self.objects.location.check(db)
        hint_at_import(db, self._state_format)

    def set_up(self, layout: Layout = AS_IT_IS) -> Future[None]:
        """Bring the schema to head, and lay its tables out."""
        return self._schema_gate.set_up(layout)

    def _ready(self) -> Steps[None]:
        """Wait until the schema has been checked.

        Raises:
            StoreClosed: `close` was called.
        """
        if self._closed:
            raise StoreClosed
        yield from self._schema_gate.wait()
        self.monitor.ready_at = perf_counter()
        self.monitor.look_for_providers()
        self._is_ready = not self._closed

    # --- running work

    def read(self, work: Work[T]) -> Steps[T]:
        """Run work that only reads, in parallel with other work."""
        if not self._is_ready:
            yield from self._ready()
        result: T = yield self.runner.read(work)
        return result

    def read_stale(self, work: Work[T]) -> Steps[T]:
        """Run work whose result may be some seconds old: on the replica, if there is one."""
        if self.replica is None:
            return (yield from self.read(work))
        if not self._is_ready:
            yield from self._ready()
        return (yield from self.replica.read(work))

    def write(self, attempt: WriteAttempt) -> Steps[None]:
        """Store one write; writes of a thread are stored in the order of these calls. Returns when it is durable."""
        operation: Operation = getattr(self.monitor, attempt.operation)
        if self.monitor.tracing is not None and attempt.span is None:
            with operation.span(attempt.key) as attempt.span:
                return (yield from self.write(attempt))
        started, future = perf_counter(), None
        if started >= self.monitor.due_at:
            self.monitor.tick(started)
        try:
            if not self._is_ready:
                yield from self._ready()
            future = self._queue.submit(attempt)
            yield future
        except BaseException as exc:
            self._abandon(future)
            operation.failed(started, exc)
            raise
        operation.ended(started, attempt.key)
        return None

    def write_here(self, attempt: WriteAttempt) -> None:
        """Like `write`, in plain code: on this thread if nothing else is being stored, else in the queue."""
        operation: Operation = getattr(self.monitor, attempt.operation)
        if self.monitor.tracing is not None and attempt.span is None:
            with operation.span(attempt.key) as attempt.span:
                self.write_here(attempt)
            return
        started, future = perf_counter(), None
        if started >= self.monitor.due_at:
            self.monitor.tick(started)
        try:
            if not self._is_ready:
                drive(self._ready())
            future = self._queue.store(attempt)
            if future is not None:
                future.result()
        except BaseException as exc:
            self._abandon(future)
            operation.failed(started, exc)
            raise
        operation.ended(started, attempt.key)

    def wherever(self, operation: Callable[[], Steps[T]]) -> Steps[T]:
        """Run an operation that may be repeated, where this store is; see `ckptstore.transfer.following` for one that may be elsewhere."""
        return operation()

    def run_in_queue(self, work: Work[T], *threads: str) -> Steps[T]:
        """Run work that writes to these threads, after the writes to them that were queued before. It opens its own transaction."""
        yield from self._ready()
        future = self._queue.run(work, *threads)
        try:
            result: T = yield future
            return result
        except BaseException:
            self._abandon(future)
            raise

    def _abandon(self, future: Future[Any] | None) -> None:
        """If the operation failed because its caller was cancelled or interrupted, take it out of the queue."""
        if future is not None and not future.done():
            self._queue.abandon(future)

    def run_concurrently(self, work: Work[T], *threads: str) -> Steps[T]:
        """Run work that writes to these threads and locks each of them: in parallel with the queue if the database can.

        SQLite has one writer, so there it runs in the queue.
        """
        if self.runner.statements.on_sqlite:
            return (yield from self.run_in_queue(work, *threads))
        yield from self._ready()
        result: T = yield self.runner.write(work)
        return result

    def stats(self) -> SaverStats:
        """The state of the store, and what it did."""
        in_use, idle, limit = self.runner.pool_use()
        return SaverStats(
            queue_depth=self._queue.depth,
            in_flight=self._queue.in_flight,
            queued_bytes=self._queue.held_bytes,
            connections_in_use=in_use,
            connections_idle=idle,
            connections_limit=limit,
            replica=None if self.replica is None else self.replica.stats(),
            since_start=self.monitor.since_start(),
            last_minute=self.monitor.last_minute(),
        )

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last batch of writes that was stored began."""
        return time.monotonic() - self._queue.last_write_at

    def ready_objects(self) -> Steps[ObjectRegistry]:
        """The registry of objects, once the schema has been checked."""
        yield from self._ready()
        return self.objects

    # --- closing

    def close(self, before: Callable[[float], None] | None = None) -> None:
        """Finish the writes that were accepted, then close every connection. Blocks, for `close_seconds` and a few more at most.

        A second call waits for the first one. It may be interrupted: closing continues on a worker thread.

        Args:
            before: called first, with the seconds that it may take.
        """
        closing = self._closing
        if closing is None:
            closing = self._closing = run_in_thread(partial(self._close, before), "ckptstore-close")
        closing.result()

    def _close(self, before: Callable[[float], None] | None) -> None:
        until = time.monotonic() + self._close_seconds

        def left() -> float:
            return max(_LAST_SECONDS, until - time.monotonic())

        if before is not None:
            before(left())
        if self.leases.in_use:
            with suppress(TimeoutError, CkptStoreError):
                # Those that can't be released expire.
                run_in_thread(self.leases.close, "ckptstore-close-leases").result(timeout=left())
        self._closed = True
        self._is_ready = False
        try:
            self._queue.close(left())
            self.objects.close(left())
        finally:
            if self.replica is not None:
                self.replica.close(left())
            self.runner.close(left())


def _folder_cache(settings: BlobSettings) -> FolderCache | None:
    return FolderCache(Path(settings.cache_folder), settings.cache_folder_bytes) if settings.cache_folder else None
