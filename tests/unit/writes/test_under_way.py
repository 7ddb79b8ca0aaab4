"""Batches under way: which entries and threads they have, and when another one may start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ckptstore.db.shard_map import Shard, ShardMap
from ckptstore.writes.batch import Batch
from ckptstore.writes.entry import QueueEntry, State
from ckptstore.writes.linger import GroupCommitPolicy
from ckptstore.writes.pending import PendingEntries
from ckptstore.writes.under_way import BatchesUnderWay
from tests.support.write_queue import ManualRunner


def batch_of(*threads: str) -> Batch:
    batch = Batch()
    batch.entries = [QueueEntry((thread,), None, None) for thread in threads]
    return batch


def under_way_on(
    runner: ManualRunner,
    *,
    pending: PendingEntries | None = None,
    policy: GroupCommitPolicy | None = None,
    found_slow: Callable[[], object] = list,
) -> BatchesUnderWay:
    # One without entries is false.
    pending = PendingEntries(10, 1_000) if pending is None else pending
    return BatchesUnderWay(cast(Any, runner), pending, policy or GroupCommitPolicy(), found_slow)


def test_entries_are_under_way_from_the_begin_of_their_batch_to_its_end(runner: ManualRunner) -> None:
    pending = PendingEntries(10, 1_000)
    under_way = under_way_on(runner, pending=pending)
    batch = batch_of("a", "b")
    under_way.begin(batch)
    assert under_way
    assert batch in under_way
    assert (under_way.threads, pending.under_way) == ({"a", "b"}, 2)
    assert all(entry.state is State.UNDER_WAY for entry in batch.entries)
    under_way.end(batch)
    assert not under_way
    assert pending.under_way == 0
    assert all(entry.state is State.READY for entry in batch.entries)


def test_another_batch_starts_only_beside_slow_ones_and_on_a_connection_of_its_own(runner: ManualRunner) -> None:
    runner.max_batches = 2
    under_way = under_way_on(runner)
    slow = batch_of("a")
    slow.entries[0].alone = False
    under_way.begin(slow)
    assert not under_way.may_start()
    slow.is_slow = True
    assert under_way.may_start()
    under_way.begin(batch_of("b"))
    assert not under_way.may_start()


def test_one_timer_looks_for_all_of_them_and_only_while_there_are_some(runner: ManualRunner) -> None:
    runner.max_batches = 2
    found: list[str] = []
    under_way = under_way_on(runner, found_slow=lambda: found.append("slow"))
    slow, quick = batch_of("a"), batch_of("b")
    for batch in (slow, quick):
        under_way.begin(batch)
        under_way.look_later()
    assert len(runner.timers) == 1
    slow.started_at -= 60
    runner.timers.pop()()
    assert (slow.is_slow, quick.is_slow, found) == (True, False, ["slow"])
    under_way.end(quick)
    # For the quick one; the slow one is known.
    runner.timers.pop()()
    assert (runner.timers, found) == ([], ["slow"])


def test_of_many_threads_half_of_the_nodes_store_at_a_time(runner: ManualRunner) -> None:
    runner.max_batches = 4
    runner.abilities.shard_map = ShardMap("public", [-(2**31), 0], [Shard(1, 1), Shard(2, 2)])
    policy = GroupCommitPolicy()
    under_way = under_way_on(runner, policy=policy)
    batch = batch_of("a")
    batch.entries[0].alone = False
    under_way.begin(batch)
    batch.node = 1
    assert under_way.may_start()
    policy.committed(frozenset(map(str, range(8))), 0.01)
    assert not under_way.may_start()
    batch.is_slow = True
    assert under_way.may_start()
