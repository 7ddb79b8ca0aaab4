"""Decides which entries of the queue form a batch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Set
from typing import TYPE_CHECKING

from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.entry import QueueEntry, State

if TYPE_CHECKING:
    from ckptstore.monitoring.tracing import BatchSpan

MAX_ENTRIES = 500
# A PostgreSQL message is limited to 1 GB, and a small write should not wait for many large ones. One entry always fits.
_MAX_BYTES = 16 * 1024 * 1024
#: How long a batch waits for the row of a thread that another transaction has locked: its other writes, and other batches, wait for it.
LOCK_SECONDS = 0.1


class Batch:
    """Entries that are stored together."""

    __slots__ = ("deadline", "entries", "has_begun", "is_slow", "lock_seconds", "node", "queued", "seconds", "span", "started_at")

    def __init__(self) -> None:
        self.entries: list[QueueEntry] = []
        #: Whether its first entry waited in the queue while the last batch was stored, so that there are several callers.
        self.queued = False
        #: Whether an attempt to store it has begun: then no entry can join it.
        self.has_begun = False
        #: Whether it has been under way for longer than several ordinary ones.
        self.is_slow = False
        #: How long an attempt waits for the row of a thread.
        self.lock_seconds = LOCK_SECONDS
        #: Since when it is under way, by the monotonic clock.
        self.started_at = -math.inf
        #: Its span, if there are spans.
        self.span: BatchSpan | None = None
        #: How long the database took to store it.
        self.seconds = 0.0
        #: Until when it may be repeated, by the monotonic clock.
        self.deadline = math.inf
        #: The node that stores it, where the database has several.
        self.node: int | None = None

    @property
    def writes(self) -> list[EncodedWrite]:
        """Its writes, in order; none if it is work."""
        return [entry.write for entry in self.entries if entry.write is not None]

    def end_span(self, exc: BaseException | None) -> None:
        """End its span, which links those of its writes."""
        if self.span is not None:
            self.span.end([entry.attempt.span for entry in self.entries if entry.attempt is not None], exc)

    @property
    def may_be_overtaken(self) -> bool:
        """Whether other threads' writes need not wait for it."""
        # An entry is alone because it is work, or because one of its batch waited for a lock, or was bad: it is not known yet which.
        return self.is_slow or self.entries[0].alone


def fill(batch: list[QueueEntry], queue: Iterable[QueueEntry], limit: int = MAX_ENTRIES, busy: Set[str] = frozenset()) -> None:
    """Add those entries of a queue to a batch that can be stored with it, first come first served.

    An entry that can't be stored yet, or is under way in another batch, holds back only later entries of its own threads.

    Args:
        batch: the batch.
        queue: the entries that are not in the batch, in order.
        limit: the batch ends when it has so many entries.
        busy: threads that other batches under way write to.
    """
    held_back, size = _held_back_by(batch) if batch else (set(busy), 0)
    for entry in queue:
        if len(batch) >= limit or (batch and batch[0].alone):
            return
        if entry.state is not State.READY or not held_back.isdisjoint(entry.threads) or (batch and not _fits(entry, size)):
            held_back.update(entry.threads)
            continue
        batch.append(entry)
        if entry.write is not None:
            size += entry.write.size
            if entry.write.blocks_thread:
                held_back.update(entry.threads)


def _fits(entry: QueueEntry, size: int) -> bool:
    """Whether an entry can join a batch of `size` bytes."""
    return not entry.alone and entry.write is not None and size + entry.write.size <= _MAX_BYTES


def _held_back_by(batch: Iterable[QueueEntry]) -> tuple[set[str], int]:
    """The threads whose later writes must wait for the next batch, and the bytes that a batch has already."""
    held_back: set[str] = set()
    size = 0
    for entry in batch:
        if entry.write is not None:
            size += entry.write.size
            if entry.write.blocks_thread:
                held_back.update(entry.threads)
    return held_back, size


def threads_of(batch: Sequence[QueueEntry]) -> frozenset[str]:
    """The threads that a batch writes to."""
    if len(batch) == 1:
        return frozenset(batch[0].threads)
    return frozenset([thread for entry in batch for thread in entry.threads])
