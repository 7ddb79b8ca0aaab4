"""The side of the write queue that stores: on the runner's worker thread or loop, so that nothing here needs a lock.

A scan takes every entry that is ready as a batch. The batch is stored in one transaction, then its futures are completed, and its end
scans again. A lone write waits for no other; among many, a batch lingers for more (`linger`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from ckptstore.db.connection import Db
from ckptstore.db.runner import Runner
from ckptstore.errors import DatabaseUnavailable, StoreClosed
from ckptstore.runtime.coalesced import CoalescedCall
from ckptstore.runtime.future import Future
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import WriteEncoder
from ckptstore.writes.batch import MAX_ENTRIES, Batch, fill, threads_of
from ckptstore.writes.deadlines import Deadlines
from ckptstore.writes.direct import DirectWrites
from ckptstore.writes.entry import QueueEntry, State, complete
from ckptstore.writes.execution import BatchExecution, BeginBatch, CommitBatch
from ckptstore.writes.linger import Arrivals, GroupCommitPolicy
from ckptstore.writes.locked_threads import LockedThreads, ThreadLocked
from ckptstore.writes.one_node import of_one_node
from ckptstore.writes.pending import PendingEntries
from ckptstore.writes.under_way import BatchesUnderWay


class Committer:
    """Stores pending entries in batches.

    Args:
        runner: of the database.
        commit_batch: stores a batch.
        encoder: encodes entries that had no room before.
        pending: the entries.
        retry_seconds: see `Deadlines`.
        begin_batch: see `BatchExecution`.
    """

    def __init__(
        self,
        runner: Runner,
        commit_batch: CommitBatch,
        encoder: WriteEncoder,
        pending: PendingEntries,
        retry_seconds: float,
        begin_batch: BeginBatch | None = None,
    ) -> None:
        self._runner = runner
        self._commit_batch = commit_batch
        self._begin_batch = begin_batch
        self._encoder = encoder
        self._pending = pending
        self._scans = CoalescedCall()
        self._request_scan = partial(runner.call_soon, self._scan)
        self._monitor = runner.monitor
        self._policy = GroupCommitPolicy()
        self._deadlines = Deadlines(retry_seconds)
        self._locked = LockedThreads(runner.max_batches, retry_seconds)
        self._under_way = BatchesUnderWay(runner, pending, self._policy, self._scan)
        #: Writes that their callers store themselves.
        self.direct = DirectWrites(runner, pending, self._stored_directly)
        self._arrivals: Arrivals | None = None
        #: Until when `drain` waits; without it, for ever.
        self._drain_until = math.inf
        self._drained: SimpleQueue[None] = SimpleQueue()
        #: When the last one that was stored began, by the monotonic clock.
        self.last_write_at = -math.inf

    # --- from any thread; a caller may be interrupted here at any bytecode

    def added(self, entry: QueueEntry) -> None:
        """Note that an entry is pending now.

        Raises:
            StoreClosed: the runner was closed.
        """
        if entry.encoding is not None:
            entry.encoding.add_done_callback(self.scan_soon)
        elif self._arrivals is not None:
            self._arrivals.arrived(len(self._pending))
        self._scans.request(self._request_scan)

    def scan_soon(self, _future: Future[Any] | None = None) -> None:
        """Note that something has changed that may allow another batch."""
        # If the runner was closed, nobody waits any more.
        with suppress(StoreClosed):
            self._scans.request(self._request_scan)

    def drain(self, until: float) -> None:
        """Return when no entry is left, or at this time by the monotonic clock; from then on no batch is repeated."""
        self._drain_until = until
        self.direct.wait()
        with suppress(StoreClosed, Empty):
            while self._pending or self._under_way:
                self._request_scan()
                self._drained.get(timeout=max(0.0, until - monotonic()))

    # --- 1. making a batch; from here on only on the worker thread or loop

    def _scan(self) -> None:
        """Look at every entry, and start a batch if there is something to store and none is under way."""
        self._scans.begun += 1
        if self._pending.entries:
            self.direct.wait()
            entries = self._encode_waiting([entry for entry in self._pending.in_order() if self._is_usable(entry)])
            if not self._under_way or self._under_way.may_start():
                if self._under_way or self._locked.since:
                    entries = self._locked.arrange(entries, self._under_way)
                if (shard_map := self._runner.abilities.shard_map) is not None:
                    entries = [*of_one_node(entries, shard_map, self._under_way.busy_nodes())]
                batch = Batch()
                fill(batch.entries, entries, busy=self._under_way.threads if self._under_way else frozenset())
                if batch.entries:
                    self._start(batch)
                    if self._under_way and self._under_way.may_start():
                        self.scan_soon()
            if self._under_way and not self._under_way.may_start():
                # The end of a batch scans, or the time at which another one may overtake it.
                self._scans.promise()
        if self._drain_until < math.inf and not self._pending and not self._under_way:
            self._drained.put(None)

    def _is_usable(self, entry: QueueEntry) -> bool:
        """Whether an entry is in the queue still; takes its encoded write if worker threads have encoded it."""
        if entry.state is State.UNDER_WAY:
            return True
        exc: BaseException | None = None
        if entry.encoding is not None and entry.encoding.done():
            exc = entry.take_encoded()
        if exc is None and (self._deadlines.fault is not None or self._locked.since):
            exc = self._deadlines.why_in_vain(entry) or self._locked.why_in_vain(entry)
        if exc is not None:
            self._pending.fail(entry, exc)
        elif entry.abandoned and entry.state is not State.ENCODING:
            self._pending.remove(entry)
        return exc is None and not entry.abandoned

    def _encode_waiting(self, entries: Sequence[QueueEntry]) -> Sequence[QueueEntry]:
        """Encode entries that had no room, while there is room: one at a time, since encoding shows how much memory one takes.

        Returns:
            The entries without those that can't be encoded, which hold back nothing.
        """
        waiting = [entry for entry in entries if entry.state is State.WAITING]
        if not waiting:
            return entries
        left = len(waiting)
        for entry in waiting:
            if entry.missing is None and not self._pending.has_room(left):
                continue
            try:
                entry.encode(self._encoder)
            except BaseException as exc:
                self._pending.fail(entry, exc)
                continue
            finally:
                left -= 1
            self._pending.hold(entry.held_bytes)
            if entry.encoding is not None:
                entry.encoding.add_done_callback(self.scan_soon)
        return [entry for entry in entries if not entry.future.done()]

    def _start(self, batch: Batch) -> None:
        self._under_way.begin(batch)
        if self._locked.since:
            batch.lock_seconds = self._locked.lock_seconds(batch)
        batch.queued = self._deadlines.answered_since(batch.entries[0])
        batch.deadline = self._deadlines.first_of(batch.entries)
        if self._runner.may_wait:
            self._store_here(batch)
            return
        self._under_way.look_later()
        try:
            work = BatchExecution(batch, self._execute, self._begin_batch, self._note_stored)
            self._runner.write(work, partial(self._written, batch), partial(self._deadline, batch))
        except Exception as exc:
            # The runner was closed; or anything else, which must not leave the batch under way for ever.
            self._under_way.end(batch)
            for entry in batch.entries:
                self._pending.fail(entry, exc)

    def _store_here(self, batch: Batch) -> None:
        """Store a batch on this worker thread, which has nothing else to do."""
        try:
            results = self._runner.write_here(partial(self._execute, batch), partial(self._deadline, batch))
        except BaseException as exc:
            self._finished(batch, (), exc)
        else:
            self._finished(batch, results, None)

    def _written(self, batch: Batch, future: Future[Sequence[Any]]) -> None:
        exc = future.exception()
        self._finished(batch, future.result() if exc is None else (), exc)

    def _deadline(self, batch: Batch) -> float:
        return min(batch.deadline, self._drain_until)

    # --- 2. storing it, and completing its futures

    def _execute(self, batch: Batch, db: Db) -> Sequence[Any]:
        """Store a batch. It may run again after a transient fault."""
        return self._store(batch, db) if batch.span is None else batch.span.around(self._store, batch, db)

    def _store(self, batch: Batch, db: Db) -> Sequence[Any]:
        if (work := batch.entries[0].work) is not None:
            return [work(db)]
        if not batch.has_begun and self._runner.may_wait:
            self._linger(batch, threads_of(batch.entries))
        batch.has_begun = True
        started = monotonic()
        results = self._commit_batch(db, batch.writes, batch.lock_seconds)
        self._note_stored(batch, started)
        return results

    def _note_stored(self, batch: Batch, started: float) -> None:
        self.last_write_at = started
        batch.seconds = monotonic() - started
        self._policy.committed(threads_of(batch.entries), batch.seconds)

    def _stored_directly(self, write: EncodedWrite, started: float) -> None:
        seconds = monotonic() - started
        self._policy.committed(frozenset((write.record.key.thread_id,)), seconds)
        self._monitor.stored_directly(write.size, seconds)
        self.last_write_at = started
        self._deadlines.answered()

    def _linger(self, batch: Batch, threads: Set[str]) -> None:
        """Let more entries join, until the batch is complete or has lingered long enough."""
        target = self._policy.target(threads, queued=batch.queued)
        missing = target.entries - len(batch.entries)
        if missing <= 0:
            return
        self._arrivals = Arrivals(len(self._pending) + missing)
        self._arrivals.wait(len(self._pending), self._policy.linger_seconds)
        self._arrivals = None
        joining = batch.entries[:]
        fill(
            joining,
            [entry for entry in self._pending.in_order() if entry.state is not State.UNDER_WAY],
            target.entries if target.alternating else MAX_ENTRIES,
        )
        self._under_way.take(joining[len(batch.entries) :])
        batch.entries = joining

    def _finished(self, batch: Batch, results: Sequence[Any], exc: BaseException | None) -> None:
        self._under_way.end(batch)
        if batch.span is not None:
            batch.end_span(exc)
        if exc is not None or self._locked.since:
            self._locked.ended(batch, exc)
        done = self._stored(batch, results) if exc is None else [(entry, None) for entry in self._failed_with(batch, exc)]
        for entry, _ in done:
            self._pending.remove(entry)
        try:
            if not self._runner.may_wait:
                # The next batch starts before any future is completed: the database need not wait for the callers' loops.
                self._scan()
            elif self._pending.entries:
                # In its turn: other work may be waiting for this worker thread.
                self.scan_soon()
        finally:
            complete(done, exc)

    def _stored(self, batch: Batch, results: Sequence[Any]) -> Sequence[tuple[QueueEntry, Any]]:
        """The entries that are durable, with their results."""
        self._deadlines.answered()
        stored: list[tuple[QueueEntry, Any]] = []
        writes = size = 0
        for entry, result in zip(batch.entries, results, strict=True):
            if result is not None and entry.attempt is not None:
                entry.encode_again(result)
                continue
            stored.append((entry, result))
            if entry.write is not None:
                self._encoder.stored(entry.write)
                writes, size = writes + 1, size + entry.write.size
        if writes:
            self._monitor.committed(writes, size, batch.seconds)
        return stored

    def _failed_with(self, batch: Batch, exc: BaseException) -> Sequence[QueueEntry]:
        """The entries that fail with their batch; the others are tried again."""
        self._deadlines.failed(exc)
        if isinstance(exc, DatabaseUnavailable):
            return self._deadlines.run_out(batch, exc, self._deadline(batch), self._pending.in_order())
        if isinstance(exc, StoreClosed) or (len(batch.entries) == 1 and not isinstance(exc, ThreadLocked)):
            return batch.entries
        # One of the entries is bad, and nothing tells which: each is tried alone, in the same order.
        for entry in batch.entries:
            entry.alone = True
        return ()
