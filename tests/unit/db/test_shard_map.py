"""Threads are found where their hash says."""

from __future__ import annotations

from ckptstore.db.shard_map import Shard, ShardMap
from ckptstore.db.text_hash import text_hash

LOWEST = [-(2**31), -(2**30), 0, 2**30]
SHARDS = [Shard(100, 1), Shard(101, 2), None, Shard(103, 1)]


def test_a_thread_is_in_the_last_shard_that_begins_at_or_below_its_hash() -> None:
    known = ShardMap("public", LOWEST, SHARDS)
    for number in range(200):
        thread = f"thread {number}"
        hash_ = text_hash(thread)
        assert known.shard_of(thread) == SHARDS[(hash_ >= -(2**30)) + (hash_ >= 0) + (hash_ >= 2**30)]
    assert len({known.shard_of(f"thread {number}") for number in range(200)}) == 4
    assert known.node_count == 2


def test_a_single_shard_has_every_thread() -> None:
    assert ShardMap("public", [-(2**31)], [Shard(7, 1)]).shard_of("any") == Shard(7, 1)
    assert ShardMap("public", [-(2**31)], [None]).shard_of("any") is None
