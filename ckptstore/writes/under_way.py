"""The batches that are being stored: one on SQLite, several on PostgreSQL. Used only on the worker thread or loop that starts them."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from time import monotonic

from ckptstore.db.runner import Runner
from ckptstore.writes.batch import Batch, threads_of
from ckptstore.writes.entry import QueueEntry, State
from ckptstore.writes.linger import GroupCommitPolicy
from ckptstore.writes.one_node import node_of
from ckptstore.writes.pending import PendingEntries


class BatchesUnderWay(list[Batch]):
    """Batches from `begin` to `end`; their entries are marked as under way.

    Args:
        runner: of the database: how many batches it takes.
        pending: counts the entries.
        policy: knows how long a batch takes before another one may overtake it.
        found_slow: called when one has become slow: it waits for a lock, or takes long, and other threads need not wait for it.
    """

    def __init__(self, runner: Runner, pending: PendingEntries, policy: GroupCommitPolicy, found_slow: Callable[[], object]) -> None:
        super().__init__()
        self._runner = runner
        self._pending = pending
        self._policy = policy
        self._found_slow = found_slow
        #: Whether `_look` will be called: one timer for many batches, since to set one costs as much as a part of a short batch.
        self._looks = False

    @property
    def threads(self) -> Set[str]:
        """The threads that they write to."""
        return frozenset([thread for batch in self for thread in threads_of(batch.entries)])

    def may_start(self) -> bool:
        """Whether another one may start: all have been under way for long, or are on other nodes, and another connection may be used."""
        if len(self) >= self._runner.max_batches:
            return False
        shard_map, busy = self._runner.abilities.shard_map, self.busy_nodes()
        return not busy or (shard_map is not None and len(busy) < self._policy.nodes_at_a_time(shard_map.node_count))

    def busy_nodes(self) -> Set[int | None]:
        """The nodes whose batches may not be overtaken; None stands for a database without nodes, and for entries that are work."""
        return frozenset([batch.node for batch in self if not batch.may_be_overtaken])

    def begin(self, batch: Batch) -> None:
        """Note that a batch is under way."""
        batch.started_at = monotonic()
        if (tracing := self._runner.monitor.tracing) is not None:
            batch.span = tracing.begin_batch()
        if self._runner.abilities.shard_map is not None:
            batch.node = node_of(batch.entries[0], self._runner.abilities.shard_map)
        self.append(batch)
        self.take(batch.entries)

    def look_later(self) -> None:
        """Look, after a while, whether one of them has become slow."""
        if self._looks or self._runner.max_batches == 1:
            return
        quick = [batch.started_at for batch in self if not batch.is_slow]
        if quick:
            self._looks = True
            self._runner.call_later(max(0.0, min(quick) + self._policy.overtake_seconds - monotonic()), self._look)

    def _look(self) -> None:
        self._looks = False
        started_before = monotonic() - self._policy.overtake_seconds
        slow = [batch for batch in self if not batch.is_slow and batch.started_at <= started_before]
        for batch in slow:
            batch.is_slow = True
        if slow:
            self._found_slow()
        self.look_later()

    def take(self, entries: Sequence[QueueEntry]) -> None:
        """Note that entries are in a batch under way."""
        for entry in entries:
            entry.state = State.UNDER_WAY
        self._pending.under_way += len(entries)

    def end(self, batch: Batch) -> None:
        """Note that a batch was stored, or not, so that its entries may be in another one."""
        self.remove(batch)
        for entry in batch.entries:
            entry.state = State.READY
        self._pending.under_way -= len(batch.entries)
