"""The one queue that all writes of a store go through, with group commit.

Guarantees: the entries of one thread commit in the order in which they were submitted; an entry that can't be stored fails alone; a
caller that is cancelled or interrupted, at any bytecode, breaks nothing, and its write leaves the queue unless it has begun; the queue is
bounded in entries and bytes, so that callers wait and memory does not grow; an entry fails when the database has not answered for
`retry_seconds` (`deadlines`).

There is no lock: callers change what is shared by single operations (`pending`), and one worker thread or loop does the rest (`committer`).
"""

from __future__ import annotations

import time
from typing import Any

from ckptstore.db.runner import Runner, Work
from ckptstore.db.settings import DatabaseSettings
from ckptstore.errors import StoreClosed
from ckptstore.runtime.fork import in_child
from ckptstore.runtime.future import Future
from ckptstore.writes.attempt import WriteAttempt, WriteEncoder
from ckptstore.writes.committer import Committer
from ckptstore.writes.entry import QueueEntry, State
from ckptstore.writes.execution import BeginBatch, CommitBatch
from ckptstore.writes.pending import PendingEntries

_MAX_HELD_BYTES = 256 * 1024 * 1024


class WriteQueue:
    """Takes writes from any worker thread and any event loop, and commits them in batches.

    Args:
        runner: of the database.
        commit_batch: stores a batch.
        encoder: encodes what is submitted.
        settings: `max_pending` and `retry_seconds` are used here.
        max_held_bytes: bytes that encoded entries may occupy in memory.
        begin_batch: begins an attempt to store a batch by one statement, where the runner executes that itself.
    """

    def __init__(
        self,
        runner: Runner,
        commit_batch: CommitBatch,
        encoder: WriteEncoder,
        settings: DatabaseSettings,
        max_held_bytes: int = _MAX_HELD_BYTES,
        begin_batch: BeginBatch | None = None,
    ) -> None:
        self._runner = runner
        self._commit_batch = commit_batch
        self._begin_batch = begin_batch
        self._encoder = encoder
        self._settings = settings
        self._max_held_bytes = max_held_bytes
        self._reset()
        # A child of fork inherits the queue of its parent, but not the worker threads of its callers.
        in_child(self._reset)

    def _reset(self) -> None:
        self._closed = False
        self._pending = PendingEntries(self._settings.max_pending, self._max_held_bytes)
        self._committer = Committer(
            self._runner, self._commit_batch, self._encoder, self._pending, self._settings.retry_seconds, self._begin_batch
        )

    @property
    def depth(self) -> int:
        """Entries that are not under way."""
        return self._pending.depth

    @property
    def in_flight(self) -> int:
        """Entries that are under way."""
        return self._pending.under_way

    @property
    def held_bytes(self) -> int:
        """Bytes that encoded entries occupy, about."""
        return self._pending.held_bytes

    @property
    def last_write_at(self) -> float:
        """When the last batch of writes began, by the monotonic clock."""
        return self._committer.last_write_at

    def submit(self, attempt: WriteAttempt) -> Future[None]:
        """Write, in the order of the calls for this thread.

        If the queue has room, the write is encoded here; otherwise later, where batches are made. So it never waits for the caller's
        loop, which may itself be blocked and wait for this queue.

        Raises:
            StoreClosed: `close` was called.
            CkptStoreError: it can't be encoded.
        """
        return self._enter(self._encoded(attempt))

    def store(self, attempt: WriteAttempt) -> Future[None] | None:
        """Like `submit`, for a caller that waits on its own thread; None if the write was stored there, so that it is durable."""
        entry = self._encoded(attempt)
        # It may wait for a lock here already.
        entry.waiting_since = time.monotonic()
        if entry.write is not None and self._committer.direct.store(entry.write):
            self._encoder.stored(entry.write)
            return None
        return self._enter(entry)

    def _encoded(self, attempt: WriteAttempt) -> QueueEntry:
        if self._closed:
            raise StoreClosed
        entry = QueueEntry((attempt.thread_id,), attempt, None)
        if self._pending.has_room():
            entry.encode(self._encoder)
        return entry

    def run(self, work: Work[Any], *threads: str) -> Future[Any]:
        """Run work that writes to these threads when its turn comes, alone; it opens its own transaction.

        Raises:
            StoreClosed: `close` was called.
        """
        return self._enter(QueueEntry(threads, None, work))

    def _enter(self, entry: QueueEntry) -> Future[Any]:
        if self._closed:
            raise StoreClosed
        self._pending.add(entry)
        try:
            self._committer.added(entry)
        except StoreClosed:
            self._pending.remove(entry)
            raise
        # `close` may have looked for entries before this one was added.
        if self._closed and entry.state is not State.UNDER_WAY and self._pending.remove(entry):
            raise StoreClosed
        return entry.future

    def abandon(self, future: Future[Any]) -> None:
        """Note that nobody waits for this future of `submit` or `run` any more: a write that has not begun leaves the queue.

        While worker threads encode it, it counts towards the bounds. Its upload ends, and what was uploaded is collected. One that is
        under way is stored, or not, and not tried again on its own.
        """
        entry = self._pending.find(future)
        if entry is None:
            return
        if entry.state in (State.ENCODING, State.UNDER_WAY):
            entry.abandoned = True
        else:
            self._pending.remove(entry)
        # It may have held back later entries of its thread.
        self._committer.scan_soon()

    def close(self, seconds: float) -> None:
        """Accept no more entries, and return when all accepted ones are stored or have failed. On a worker thread.

        An entry that still waits for room is rejected: encoding it may need what its caller holds.

        Args:
            seconds: how long to wait; then everything that is not stored fails.
        """
        self._closed = True
        for entry in self._pending.in_order():
            if entry.state is State.WAITING and entry.missing is None:
                self._pending.fail(entry, StoreClosed("the saver was closed before this write was accepted; build another one"))
        self._committer.drain(time.monotonic() + seconds)
        for entry in self._pending.in_order():
            outcome = "whether it was stored is unknown" if entry.state is State.UNDER_WAY else "it was not stored"
            self._pending.fail(entry, StoreClosed(f"the saver was closed, and this write not done within {seconds:g} s: {outcome}"))
