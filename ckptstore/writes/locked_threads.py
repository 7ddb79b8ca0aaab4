"""Threads whose rows other transactions have locked, on PostgreSQL: their writes wait in turns, on some of the connections only.

An attempt that waits for a lock occupies a connection. If each locked thread had one, a few of them would stop the writes of all others.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from time import monotonic

from ckptstore.db.error_mapping import LockHeld
from ckptstore.db.upgrade_explained import upgrade_under_way
from ckptstore.errors import DatabaseUnavailable, brief
from ckptstore.writes.batch import LOCK_SECONDS, Batch
from ckptstore.writes.entry import QueueEntry, State

# The server logs each attempt that ends without the lock. On a single connection the others would have to wait for it.
_PATIENT_SECONDS = 1.0
#: Batches that begin although some of the others wait for locks.
_NEVER_WAITING = 2


class ThreadLocked(LockHeld):
    """Another transaction holds the row of a thread. Each write of the batch is then stored alone, so that the others don't wait."""


class LockedThreads:
    """The threads that are known to be locked. Used only where batches are made.

    Args:
        max_batches: how many batches the runner takes at the same time.
        retry_seconds: how long a write waits for the lock; see `DatabaseSettings`.
    """

    def __init__(self, max_batches: int, retry_seconds: float) -> None:
        self._max_batches = max_batches
        self._retry_seconds = retry_seconds
        #: Since when, by the monotonic clock; first the one that was tried longest ago.
        self.since: dict[str, float] = {}
        self._tried_at = 0.0
        #: When the upgrade began that may be the reason; None if none is under way.
        self._upgrade_since: str | None = None

    def ended(self, batch: Batch, exc: BaseException | None) -> None:
        """Note how a batch ended: a write that was stored alone shows which thread is locked."""
        if not isinstance(exc, ThreadLocked):
            for entry in batch.entries:
                for thread in entry.threads:
                    self.since.pop(thread, None)
        elif len(batch.entries) == 1:
            self._tried_at, self._upgrade_since = monotonic(), exc.upgrade_since
            for thread in batch.entries[0].threads:
                self.since[thread] = self.since.pop(thread, batch.started_at)

    def why_in_vain(self, entry: QueueEntry) -> DatabaseUnavailable | None:
        """The error with which an entry fails whose thread has been locked for all of its time."""
        locked = [thread for thread in entry.threads if thread in self.since]
        if not locked or monotonic() < self._deadline(entry):
            return None
        thread, waited = brief(locked[0]), f"for {self._retry_seconds:g} s (retry_seconds); nothing was stored"
        if self._upgrade_since is not None:
            return upgrade_under_way(self._upgrade_since, f"a write of thread {thread} has waited {waited}")
        return DatabaseUnavailable(
            f"another transaction has locked the row of thread {thread} in ckpt_thread {waited}. pg_locks and pg_blocking_pids say which"
        )

    def lock_seconds(self, batch: Batch) -> float:
        """How long a batch waits for a lock."""
        entry = batch.entries[0]
        if self._max_batches == 1 or self.since.keys().isdisjoint(entry.threads):
            return LOCK_SECONDS
        return max(LOCK_SECONDS, min(_PATIENT_SECONDS, self._deadline(entry) - monotonic()))

    def _deadline(self, entry: QueueEntry) -> float:
        found = min([self.since[thread] for thread in entry.threads if thread in self.since])
        return max(found, entry.waiting_since) + self._retry_seconds

    def arrange(self, entries: Sequence[QueueEntry], under_way: Sequence[Batch]) -> Sequence[QueueEntry]:
        """The entries that may be in the next batch: of those that may have to wait for a lock one, first, and only in its turn.

        An entry that shares a thread with an earlier one stays behind it.
        """
        first: list[QueueEntry] = []
        others: list[QueueEntry] = []
        seen: set[str] = set()
        held_back: set[str] = set()
        for entry in entries:
            if self._may_wait(entry):
                if entry.state is State.READY and seen.isdisjoint(entry.threads):
                    first.append(entry)
                held_back.update(entry.threads)
            elif held_back.isdisjoint(entry.threads):
                others.append(entry)
            seen.update(entry.threads)
        waiting = sum([self._may_wait(batch.entries[0]) for batch in under_way])
        if not first or waiting >= max(1, self._max_batches - _NEVER_WAITING) or (others and self._is_others_turn()):
            return others
        longest_ago = min(first, key=self._turn)
        longest_ago.alone = True
        return [longest_ago, *others]

    def _may_wait(self, entry: QueueEntry) -> bool:
        """Whether an entry is of a locked thread, or work on threads, which waits for as long as the server lets it."""
        return (entry.work is not None and bool(entry.threads)) or not self.since.keys().isdisjoint(entry.threads)

    def _is_others_turn(self) -> bool:
        return self._max_batches == 1 and monotonic() < self._tried_at + _PATIENT_SECONDS

    def _turn(self, entry: QueueEntry) -> int:
        turns: Set[str] = self.since.keys() & set(entry.threads)
        return max([number for number, thread in enumerate(self.since) if thread in turns], default=-1)
