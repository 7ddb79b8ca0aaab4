"""The batches that are being stored: one on SQLite, several on PostgreSQL. Used only on the worker thread or loop that starts them."""

from __future__ import annotations

from collections.abc import Sequence, Set

from ckptstore.db.runner import Runner
from ckptstore.writes.batch import Batch, threads_of
from ckptstore.writes.entry import QueueEntry
from ckptstore.writes.pending import PendingEntries


class BatchesUnderWay(list[Batch]):
    """Batches from `begin` to `end`; their entries are marked as under way.

    Args:
        runner: of the database: how many batches it takes.
        pending: counts the entries.
    """

    def __init__(self, runner: Runner, pending: PendingEntries) -> None:
        super().__init__()
        self._runner = runner
        self._pending = pending

    @property
    def threads(self) -> Set[str]:
        """The threads that they write to."""
        return frozenset([thread for batch in self for thread in threads_of(batch.entries)])

    def may_start(self) -> bool:
        """Whether another one may start: all have been under way for long, and another connection may be used."""
        return len(self) < self._runner.max_batches and all(batch.may_be_overtaken for batch in self)

    def begin(self, batch: Batch) -> None:
        """Note that a batch is under way."""
        self.append(batch)
        self.take(batch.entries)

    def take(self, entries: Sequence[QueueEntry]) -> None:
        """Note that entries are in a batch under way."""
        for entry in entries:
            entry.in_flight = True
        self._pending.in_flight += len(entries)

    def end(self, batch: Batch) -> None:
        """Note that a batch was stored, or not, so that its entries may be in another one."""
        self.remove(batch)
        for entry in batch.entries:
            entry.in_flight = False
        self._pending.in_flight -= len(batch.entries)
