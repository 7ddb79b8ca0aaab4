"""Decides which entries of the queue form a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ckptstore.writes.entry import QueueEntry, State

_MAX_ENTRIES = 500
# A PostgreSQL message is limited to 1 GB, and a small write should not wait for many large ones. One entry always fits.
_MAX_BYTES = 16 * 1024 * 1024


def fill(batch: list[QueueEntry], queue: Sequence[QueueEntry]) -> list[QueueEntry]:
    """Add those entries of a queue to a batch that can be stored with it, first come first served.

    An entry that can't be stored yet holds back only later entries of its own threads.

    Returns:
        The entries that remain in the queue.
    """
    held_back, size = _held_back_by(batch) if batch else (set(), 0)
    left: list[QueueEntry] = []
    for position, entry in enumerate(queue):
        if len(batch) >= _MAX_ENTRIES or (batch and batch[0].alone):
            return left + list(queue[position:])
        if entry.state is not State.READY or not held_back.isdisjoint(entry.threads) or (batch and not _fits(entry, size)):
            held_back.update(entry.threads)
            left.append(entry)
            continue
        batch.append(entry)
        if entry.write is not None:
            size += entry.write.size
            if entry.write.blocks_thread:
                held_back.update(entry.threads)
    return left


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
