"""What the doctor says of a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore.inspection.doctor.cluster_rules import cluster_findings
from tests.support.clusters import cluster, node
from tests.support.doctor import facts, ill

GB = 1 << 30


def test_what_is_not_distributed_has_no_findings() -> None:
    assert list(cluster_findings(facts(on_sqlite=False))) == []


def test_a_cluster_that_is_well() -> None:
    found = list(cluster_findings(facts(on_sqlite=False, cluster=cluster())))
    assert [finding.name for finding in found] == ["shards", "skew", "hot thread"]
    assert ill(found) == {}


@pytest.mark.parametrize(
    ("changes", "name", "severity"),
    [
        ({"nodes": [node("w1:5432", 100, 101, 102, 103), node("w2:5432")]}, "shards", "care"),
        ({"without_functions": [100]}, "shards", "care"),
        ({"shard_bytes": {100: 7 * GB, 101: GB, 102: GB, 103: GB}}, "skew", "note"),
        ({"shard_bytes": {100: 900 * GB, **dict.fromkeys(range(200, 210), GB)}}, "skew", "care"),
        ({"largest_thread": ("t", GB // 2)}, "hot thread", "note"),
        ({"largest_thread": ("t", 5 * GB)}, "hot thread", "urgent"),
    ],
)
def test_each_illness(changes: dict[str, Any], name: str, severity: str) -> None:
    found = ill(cluster_findings(facts(on_sqlite=False, cluster=cluster(**changes))))
    assert found == {name: severity}


def test_a_small_store_is_uneven_by_chance() -> None:
    small = cluster(shard_bytes={100: 1 << 20, 101: 8192, 102: 8192, 103: 8192})
    assert ill(cluster_findings(facts(on_sqlite=False, cluster=small))) == {}


def test_a_tenants_schema_has_no_skew() -> None:
    tenant = cluster(nodes=[node("w1:5432", 100)], shard_bytes={100: 50 * GB})
    assert [finding.name for finding in cluster_findings(facts(on_sqlite=False, cluster=tenant))] == ["shards"]
