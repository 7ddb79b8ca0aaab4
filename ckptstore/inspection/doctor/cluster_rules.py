"""Rules about a cluster: where shards are, and whether some have more than others."""

from __future__ import annotations

from collections.abc import Iterator

from ckptstore.db.cluster import Cluster
from ckptstore.inspection.cluster_checks import problems, summary
from ckptstore.inspection.doctor import thresholds as limit
from ckptstore.inspection.doctor.facts import Facts
from ckptstore.inspection.doctor.findings import Finding, Severity, severity_of

_MB = 1024**2


def cluster_findings(facts: Facts) -> Iterator[Finding]:
    """Where shards are, what is beside them, and how even they are."""
    cluster = facts.cluster
    if cluster is None:
        return
    evidence = {node.name: list(node.shards) for node in cluster.nodes}
    found = [Finding("shards", Severity.CARE, message, evidence, command) for message, command in problems(cluster)]
    yield from found or [Finding("shards", Severity.OK, summary(cluster), evidence)]
    if len(cluster.shards) > 1:
        yield _skew(cluster)
        yield _hot_thread(cluster)


def _skew(cluster: Cluster) -> Finding:
    sizes = cluster.shard_bytes
    total = sum(sizes.values())
    largest = max(sizes, key=lambda shard: sizes[shard])
    times = sizes[largest] * len(sizes) / max(1, total)
    evidence = {"shard_bytes": dict(sizes), "times": times}
    megabytes = sizes[largest] / _MB
    message = f"the largest of {len(sizes)} shards, {largest}, has {megabytes:,.0f} MB, {times:.1f} times what they have on average"
    severity = severity_of(times, limit.SHARD_SKEW) if total >= limit.LEAST_CLUSTER_BYTES else Severity.OK
    command = (
        ""
        if severity is Severity.OK
        else "more shards: alter_distributed_table('ckpt_thread', shard_count => ..., cascade_to_colocated => true)"
    )
    return Finding("skew", severity, message, evidence, command)


def _hot_thread(cluster: Cluster) -> Finding:
    thread, size = cluster.largest_thread or ("", 0)
    total = sum(cluster.shard_bytes.values())
    share = size * len(cluster.shards) / max(1, total)
    evidence = {"thread": thread, "bytes": size, "share": share}
    message = f"the largest thread has {size / _MB:,.0f} MB of state, {share:.0%} of what a shard has on average; a thread is on one node"
    severity = severity_of(share, limit.HOT_THREAD_SHARE) if total >= limit.LEAST_CLUSTER_BYTES else Severity.OK
    command = "" if severity is Severity.OK else "ckptstore threads show THREAD; prune it, or begin new threads"
    return Finding("hot thread", severity, message, evidence, command)
