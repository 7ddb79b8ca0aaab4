"""Clusters as a store would find them, for tests of what is said of them."""

from __future__ import annotations

from typing import Any

from ckptstore.db.cluster import Cluster, ClusterNode


def node(name: str, *shards: int, fault: str = "", may_have_shards: bool = True) -> ClusterNode:
    return ClusterNode(name=name, fault=fault, may_have_shards=may_have_shards, shards=shards)


def cluster(**changes: Any) -> Cluster:
    """One that is well, with some changes."""
    well: dict[str, Any] = {
        "nodes": [node("c:5432", may_have_shards=False), node("w1:5432", 100, 101), node("w2:5432", 102, 103)],
        "shard_bytes": dict.fromkeys(range(100, 104), 1 << 30),
        "without_functions": [],
        "astray": [],
        "largest_thread": ("t", 1 << 20),
    }
    return Cluster(**{**well, **changes})
