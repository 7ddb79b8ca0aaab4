"""What is said of the nodes of a cluster."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ckptstore.inspection.cluster_checks import listed, problems, summary, why_unreachable
from tests.support.clusters import cluster, node


def test_a_cluster_that_is_well() -> None:
    well = cluster()
    assert why_unreachable(well) is None
    assert list(problems(well)) == []
    assert summary(well) == "4 shards on 2 nodes: w1:5432 has 2, w2:5432 has 2"


def test_threads_of_a_node_that_is_down_are_named_by_their_shards() -> None:
    down = cluster(nodes=[node("w1:5432", 100, 101, 102), node("w2:5432", 103, fault="connection refused")])
    reason = why_unreachable(down)
    assert reason is not None
    assert reason.startswith("node w2:5432 does not answer (connection refused); the threads of 1 of 4 shards (103), about 25% of all,")
    assert "get_shard_id_for_distribution_column('ckpt_thread', 'THREAD')" in reason


def test_a_node_without_shards_takes_no_thread_along() -> None:
    down = cluster(nodes=[node("w1:5432", 100), node("w2:5432", fault="no route")])
    assert why_unreachable(down) == "node w2:5432 does not answer (no route); it has no shards, so no thread is affected"


@pytest.mark.parametrize(
    ("changes", "message", "way_out"),
    [
        ({"nodes": [node("w1:5432", 100, 101), node("w3:5432")]}, "nodes without shards: w3:5432", "citus_rebalance_start"),
        ({"nodes": [node("w1:5432", 100), node("old:5432", 101, may_have_shards=False)]}, "some: old:5432", "citus_rebalance_start"),
        ({"astray": ["ckpt_write_7"]}, "1 shards are on another node .*ckpt_write_7", "citus_move_shard_placement"),
        ({"without_functions": [101]}, r"1 of 4 shards have no functions \(101\)", "ckptstore upgrade"),
    ],
)
def test_problems_have_a_way_out(changes: dict[str, Any], message: str, way_out: str) -> None:
    ((found, how),) = problems(cluster(**changes))
    assert re.search(message, found)
    assert way_out in how


def test_a_tenant_is_on_one_node_and_others_need_none_of_it() -> None:
    tenant = cluster(nodes=[node("w1:5432", 100), node("w2:5432")])
    assert list(problems(tenant)) == []
    assert summary(tenant) == "all tables are on node w1:5432"


def test_long_lists_end() -> None:
    assert listed(range(3)) == "0, 1, 2"
    assert listed(range(20)).endswith("7 and 12 more")
