"""The one queue that all writes of a store go through, and group commit.

`submit` adds an entry, encodes it, and starts a batch if the database is free. A batch takes every entry that is ready, stores them in
one transaction, and only then completes their futures; its end starts the next batch. A lone write waits for no other; among many,
a batch lingers for more (`linger`).

Guarantees: the entries of one thread commit in the order in which they were submitted; an entry that can't be stored fails alone; a
caller that is cancelled breaks no batch; the queue is bounded in entries and bytes, so that callers wait and memory does not grow.

Over 300 lines: the five steps share one lock and one queue; in two modules a reader could not see which of them holds the lock when.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from ckptstore.db.connection import Db
from ckptstore.db.runner import Runner, Work
from ckptstore.errors import DatabaseUnavailable, StoreClosed
from ckptstore.runtime.fork import in_child
from ckptstore.runtime.wakeups import coalesced_wakeups
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts, WriteAttempt, WriteEncoder
from ckptstore.writes.batch import fill, threads_of
from ckptstore.writes.entry import QueueEntry, State
from ckptstore.writes.linger import BatchTarget, GroupCommitPolicy

#: Stores a batch; returns for each write None, or why it was not stored: it is then encoded again and keeps its turn.
CommitBatch = Callable[[Db, Sequence[EncodedWrite]], Sequence[MissingParts | None]]

_MAX_HELD_BYTES = 256 * 1024 * 1024


class WriteQueue:
    """Takes writes from any worker thread and any event loop, and commits them in batches.

    Args:
        runner: of the database.
        commit_batch: stores a batch.
        encoder: encodes what is submitted.
        max_pending: entries that may be in the queue; further ones wait outside it.
        max_held_bytes: bytes that they may occupy in memory.
    """

    def __init__(
        self, runner: Runner, commit_batch: CommitBatch, encoder: WriteEncoder, max_pending: int, max_held_bytes: int = _MAX_HELD_BYTES
    ) -> None:
        self._runner = runner
        self._commit_batch = commit_batch
        self._encoder = encoder
        self._max_pending = max_pending
        self._max_held_bytes = max_held_bytes
        self._reset()
        # A child of fork inherits the queue of its parent, but not the worker threads of its callers.
        in_child(self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._joined = threading.Condition(self._lock)
        self._policy = GroupCommitPolicy()
        #: The batch under way, as long as entries can join it, and what makes it complete.
        self._forming: list[QueueEntry] | None = None
        self._target = BatchTarget(0, alternating=False)
        self._queue: list[QueueEntry] = []
        self._waiting: deque[QueueEntry] = deque()
        self._busy = False
        self._closed = False
        self._held_bytes = 0
        #: When the last batch of writes began, by the monotonic clock.
        self.last_write_at = -math.inf

    @property
    def depth(self) -> int:
        """Entries in the queue or waiting for room in it."""
        return len(self._queue) + len(self._waiting)

    # --- 1. entering

    def submit(self, attempt: WriteAttempt) -> Future[None]:
        """Write, in the order of the calls for this thread.

        If the queue has room, the write is encoded by the caller; otherwise later, on the thread that makes room. So it never waits for
        the caller's loop, which may itself be blocked and wait for this queue.

        Raises:
            StoreClosed: `close` was called.
        """
        entry = QueueEntry((attempt.thread_id,), attempt, None)
        # Not by its state: another thread may have admitted it since, and be encoding it.
        if self._enter(entry):
            self._encode(entry)
            if self._waiting:
                self._admit()
        return entry.future

    def run(self, work: Work[Any], *threads: str) -> Future[Any]:
        """Run work that writes to these threads when its turn comes, alone; it opens its own transaction.

        Raises:
            StoreClosed: `close` was called.
        """
        entry = QueueEntry(threads, None, work)
        self._enter(entry)
        self._start_next()
        return entry.future

    def _enter(self, entry: QueueEntry) -> bool:
        """Put an entry into the queue; False if it waits for room, and whoever makes room encodes it."""
        with self._lock:
            if self._closed:
                raise StoreClosed
            # Even if there is room, entries that are waiting are first.
            has_entered = self._has_room() and not self._waiting
            if has_entered:
                self._queue.append(entry)
            else:
                entry.state = State.WAITING
                self._waiting.append(entry)
        return has_entered

    def _has_room(self) -> bool:
        return len(self._queue) < self._max_pending and self._held_bytes < self._max_held_bytes

    def _admit(self) -> None:
        """Let waiting entries into the queue as long as there is room: one at a time, since encoding shows how much memory one takes."""
        while self._waiting:
            with self._lock:
                if not self._waiting or not self._has_room():
                    return
                entry = self._waiting.popleft()
                entry.state = State.QUEUED if entry.work is None else State.READY
                self._queue.append(entry)
            if entry.attempt is not None:
                self._encode(entry)

    # --- 2. encoding

    def _encode(self, entry: QueueEntry, missing: MissingParts | None = None) -> None:
        """Encode an entry; if that fails, so does the entry."""
        assert entry.attempt is not None
        try:
            held_bytes, write = self._encoder.encode(entry.attempt, missing)
        except BaseException as exc:
            self._remove(entry)
            self._fail(entry, exc)
            # It may have held back later entries of its thread.
            self._start_next()
            return
        if not isinstance(write, Future):
            self._make_ready(entry, write, held_bytes)
            return
        with self._lock:
            entry.held_bytes += held_bytes
            self._held_bytes += held_bytes
            if entry.state is not State.REJECTED:
                entry.state = State.ENCODING
        write.add_done_callback(partial(self._encoded_elsewhere, entry))

    def _encoded_elsewhere(self, entry: QueueEntry, encoded: Future[EncodedWrite]) -> None:
        exc = encoded.exception() if not encoded.cancelled() else StoreClosed("the upload was cancelled: the saver was closed")
        if exc is None:
            self._make_ready(entry, encoded.result(), 0)
            return
        self._remove(entry)
        self._admit()
        self._start_next()
        self._fail(entry, exc)

    def _make_ready(self, entry: QueueEntry, write: EncodedWrite, held_bytes: int) -> None:
        # Under one lock with the check of the state, or an entry could be both rejected and written.
        with self._lock:
            entry.held_bytes += held_bytes
            self._held_bytes += held_bytes
            if entry.state is not State.REJECTED:
                entry.write = write
                entry.state = State.READY
            batch = self._next_batch()
            if not batch and self._forming is not None:
                self._join_forming()
        if batch:
            self._start(batch)

    def _remove(self, entry: QueueEntry) -> None:
        """Remove an entry without admitting waiting entries; callers must call `_admit()` afterwards."""
        with self._lock:
            if entry in self._queue:
                self._queue.remove(entry)
                self._held_bytes -= entry.held_bytes

    def _fail(self, entry: QueueEntry, exc: BaseException) -> None:
        if entry.state is not State.REJECTED:
            entry.future.set_exception(exc)

    # --- 3. making a batch

    def _start_next(self) -> None:
        """Start a batch, unless one is under way: its end starts the next."""
        with self._lock:
            batch = self._next_batch()
        if batch:
            self._start(batch)

    def _next_batch(self, *, queued: bool = False) -> list[QueueEntry]:
        """The entries of a batch to start, none if one is under way; under the lock.

        Args:
            queued: whether they waited while the last batch was stored.
        """
        if self._busy:
            return []
        batch: list[QueueEntry] = []
        if self._queue:
            self._queue = fill(batch, self._queue)
        self._busy = bool(batch)
        if not batch:
            # The last entry that closing waits for may have failed without a batch.
            self._idle.notify_all()
        elif self._runner.may_wait and not batch[0].alone:
            self._target = self._policy.target(threads_of(batch), queued=queued)
            complete = self._target.alternating and len(batch) >= self._target.entries
            self._forming = None if complete else batch
        return batch

    def _join_forming(self) -> None:
        """Let queued entries into the batch that is forming, if they complete it; under the lock."""
        assert self._forming is not None
        if len(self._forming) + len(self._queue) >= self._target.entries:
            self._queue = fill(self._forming, self._queue)
            if self._target.alternating:
                self._forming = None
            self._joined.notify()

    # --- 4. storing it

    def _start(self, batch: list[QueueEntry]) -> None:
        try:
            future = self._runner.write(partial(self._execute, batch))
        except StoreClosed as exc:
            self._settle(batch, None, exc)
            return
        future.add_done_callback(partial(self._finished, batch))

    def _execute(self, batch: list[QueueEntry], db: Db) -> Sequence[Any]:
        """Store a batch; on the runner's worker thread or loop. It may run again after a transient fault."""
        if batch[0].work is not None:
            return [batch[0].work(db)]
        if self._forming is batch:
            self._linger(batch)
        self.last_write_at = started = time.monotonic()
        results = self._commit_batch(db, [entry.write for entry in batch if entry.write is not None])
        self._policy.committed(threads_of(batch), time.monotonic() - started)
        return results

    def _linger(self, batch: list[QueueEntry]) -> None:
        """Return when the batch is complete, or has lingered long enough."""
        with self._lock:
            if self._forming is batch and len(batch) < self._target.entries:
                self._joined.wait_for(partial(self._is_complete, batch), self._policy.linger_seconds)
            if self._forming is batch:
                if self._queue:
                    self._queue = fill(batch, self._queue)
                self._forming = None

    def _is_complete(self, batch: list[QueueEntry]) -> bool:
        return self._forming is None or len(batch) >= self._target.entries

    def _finished(self, batch: list[QueueEntry], future: Future[Sequence[Any]]) -> None:
        with self._lock:
            if self._forming is batch:
                # The batch failed before it ran: the future of an entry that joined now would never be completed.
                self._forming = None
        exc = future.exception()
        if exc is not None and len(batch) > 1 and not isinstance(exc, DatabaseUnavailable):
            # One of the entries is bad, and nothing tells which: each is retried alone, in the same order.
            for entry in batch:
                entry.alone = True
            with self._lock:
                self._queue = batch + self._queue
            self._end_batch()
        else:
            self._settle(batch, None if exc else future.result(), exc)

    # --- 5. completing its futures

    def _settle(self, batch: list[QueueEntry], results: Sequence[Any] | None, exc: BaseException | None) -> None:
        outcomes = list(zip(batch, results or [None] * len(batch), strict=True))
        not_stored = [(entry, missing) for entry, missing in outcomes if missing is not None and entry.attempt is not None]
        self._release(batch, not_stored)
        for entry in batch if exc is None else ():
            if entry.write is not None and (entry.write.segments or entry.write.known):
                self._encoder.stored(entry.write)
        # The next batch starts before any future is completed: the database need not wait for the callers' loops.
        self._end_batch()
        with coalesced_wakeups():
            for entry, result in outcomes:
                if exc is not None:
                    entry.future.set_exception(exc)
                elif result is None or entry.work is not None:
                    entry.future.set_result(result)
        if not_stored:
            self._encode_again(not_stored)

    def _release(self, batch: Sequence[QueueEntry], not_stored: Sequence[tuple[QueueEntry, MissingParts]]) -> None:
        """Release a batch's memory; entries that were not stored return to the head of the queue, to be encoded again."""
        with self._lock:
            for entry in batch:
                self._held_bytes -= entry.held_bytes
            for entry, _ in not_stored:
                entry.write, entry.state, entry.held_bytes = None, State.ENCODING, 0
            if not_stored:
                self._queue = [entry for entry, _ in not_stored] + self._queue

    def _encode_again(self, not_stored: Sequence[tuple[QueueEntry, MissingParts]]) -> None:
        for entry, missing in not_stored:
            self._encode(entry, missing)
        self._admit()
        self._start_next()

    def _end_batch(self) -> None:
        if self._waiting:
            self._admit()
        with self._lock:
            self._busy = False
            batch = self._next_batch(queued=True)
        if batch:
            self._start(batch)

    # --- closing

    def close(self) -> None:
        """Accept no more entries, and return when all accepted ones are stored or have failed.

        An entry that is not encoded yet is rejected: its caller may need the event loop that this call blocks.
        """
        with self._lock:
            self._closed = True
            rejected = [*self._waiting, *(entry for entry in self._queue if entry.state is State.QUEUED)]
            self._queue = [entry for entry in self._queue if entry.state is not State.QUEUED]
            self._waiting.clear()
            for entry in rejected:
                entry.state = State.REJECTED
        for entry in rejected:
            entry.future.set_exception(StoreClosed("the saver was closed before this write was accepted; build another one"))
        self._start_next()
        with self._idle:
            self._idle.wait_for(lambda: not self._busy and not self._queue)
