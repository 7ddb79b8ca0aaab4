"""Which shard has a thread, and on which node it is."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ckptstore.db.text_hash import text_hash


class Shard(NamedTuple):
    """A shard of `ckpt_thread`, and those of the other tables beside it."""

    #: Its number in Citus's catalogue.
    id: int
    #: The number of the node that has it, as of when the store looked. Citus may move it.
    node: int


@dataclass(frozen=True, slots=True)
class ShardMap:
    """The shards of a store.

    Args:
        schema: of the tables, and of the functions that store batches (`sql.node_function`).
        lowest: the lowest hash of each shard, in order.
        shards: for each of them the shard; None where it has no such function, or several copies.
    """

    schema: str
    lowest: Sequence[int]
    shards: Sequence[Shard | None]

    @property
    def node_count(self) -> int:
        """How many nodes have shards."""
        return len({shard.node for shard in self.shards if shard is not None})

    def shard_of(self, thread_id: str) -> Shard | None:
        """The shard that has a thread."""
        if len(self.shards) == 1:
            return self.shards[0]
        return self.shards[bisect_right(self.lowest, text_hash(thread_id)) - 1]
