"""On a distributed database, puts the writes of one node together: they are stored by one call, beside those of other nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

from ckptstore.db.shard_map import ShardMap
from ckptstore.writes.entry import QueueEntry, State

#: Where writes are stored that no node has a function for.
_NOWHERE = -1


def node_of(entry: QueueEntry, shard_map: ShardMap) -> int | None:
    """The number of the node to whose thread an entry writes; None for work, which may write to any."""
    if entry.work is not None:
        return None
    shard = shard_map.shard_of(entry.threads[0])
    return _NOWHERE if shard is None else shard.node


def of_one_node(entries: Iterable[QueueEntry], shard_map: ShardMap, busy: Set[int | None]) -> Iterator[QueueEntry]:
    """Those of a queue's entries that are of the node whose turn it is, and work that need not wait for others.

    Args:
        entries: the entries, in order.
        shard_map: where threads are.
        busy: nodes for which batches are under way; their writes wait, and join the next one.
    """
    chosen: int | None = None
    passed_over: set[str] = set()
    for entry in entries:
        node = node_of(entry, shard_map)
        waits = not passed_over.isdisjoint(entry.threads) if node is None else node in busy or chosen not in (None, node)
        if waits:
            passed_over.update(entry.threads)
            continue
        if chosen is None and entry.state is State.READY:
            chosen = node
        yield entry
