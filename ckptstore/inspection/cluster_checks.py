"""What is wrong with the nodes of a cluster, in sentences: for `ckptstore check`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ckptstore.db.cluster import Cluster

#: More names than these are not listed.
_LISTED = 8
_WHICH = "SELECT get_shard_id_for_distribution_column('ckpt_thread', 'THREAD')"


def why_unreachable(cluster: Cluster) -> str | None:
    """Which nodes do not answer, and which threads can't be read or written meanwhile; None if all answer."""
    down = [node for node in cluster.nodes if node.fault]
    if not down:
        return None
    shards = sorted(shard for node in down for shard in node.shards)
    share = len(shards) / max(1, len(cluster.shards))
    nodes = "; ".join(f"node {node.name} does not answer ({node.fault})" for node in down)
    if not shards:
        return f"{nodes}; it has no shards, so no thread is affected"
    return (
        f"{nodes}; the threads of {len(shards)} of {len(cluster.shards)} shards ({listed(shards)}), about {share:.0%} of all, can't be "
        f"read or written, and neither can what concerns all threads; {_WHICH} says which shard has a thread"
    )


def problems(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """What works, and should be looked at: each with the way out."""
    if cluster.astray:
        yield (
            f"{len(cluster.astray)} shards are on another node than those of the same threads beside them ({listed(cluster.astray)})",
            "move them there: SELECT citus_move_shard_placement(...), or let Citus do it: SELECT citus_rebalance_start()",
        )
    empty = [node.name for node in cluster.nodes if node.may_have_shards and not node.shards]
    if empty and len(cluster.shards) > 1:
        yield f"nodes without shards: {listed(empty)}", "SELECT citus_rebalance_start()"
    away = [node.name for node in cluster.nodes if node.shards and not node.may_have_shards]
    if away:
        yield f"nodes that should have no shards have some: {listed(away)}", "SELECT citus_rebalance_start()"
    if cluster.without_functions:
        yield (
            f"{len(cluster.without_functions)} of {len(cluster.shards)} shards have no functions ({listed(cluster.without_functions)}): "
            "writes to them take several times as long",
            "ckptstore upgrade",
        )


def summary(cluster: Cluster) -> str:
    """How a store is spread."""
    having = [node for node in cluster.nodes if node.shards]
    count = len(cluster.shards)
    if count == 1:
        return f"all tables are on node {having[0].name}"
    return f"{count} shards on {len(having)} nodes: " + ", ".join(f"{node.name} has {len(node.shards)}" for node in having)


def listed(names: Iterable[object]) -> str:
    """Some names, and how many others there are."""
    each = [str(name) for name in names]
    others = f" and {len(each) - _LISTED} more" if len(each) > _LISTED else ""
    return ", ".join(each[:_LISTED]) + others
