"""What a saver tells about itself: `stats`."""

from __future__ import annotations

from ckptstore.langgraph.base import SaverBase
from ckptstore.monitoring.records import SaverStats


class Monitored(SaverBase):
    """The part of the saver that tells what it does."""

    def stats(self) -> SaverStats:
        """What this saver did since it was built and in the last minute, and what it is doing now.

        It asks nobody: it takes about a millisecond, and no database or blob backend is used. Copies of a saver (`with_limits`, and those
        that LangGraph makes) share one record, and every process has its own.

        Returns:
            Numbers of operations and their latencies, bytes, retries and errors, and the state of the queue and of the connections.
        """
        return self.store.stats()

    async def astats(self) -> SaverStats:
        """See `stats`."""
        return self.stats()
