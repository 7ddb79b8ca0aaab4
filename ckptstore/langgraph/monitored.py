"""What a saver tells about itself: `stats`, and whether it can be used: `health`."""

from __future__ import annotations

from ckptstore.langgraph.base import SaverBase
from ckptstore.monitoring.records import HealthReport, SaverStats
from ckptstore.runtime.steps import Steps, drive, drive_async


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

    def health(self, *, within_seconds: float = 5.0) -> HealthReport:
        """Whether this saver can be used now, for the readiness probe of a server. It raises nothing.

        Three checks run at the same time: `schema` (it is the one that this release needs), `write` (a write was stored in the last 10
        seconds; else one is tried through the queue, and rolled back) and `blobs` (the backend answers). Like any first use, that of a
        SQLite file upgrades its schema.

        Args:
            within_seconds: a check without an answer by then has failed.

        Returns:
            What was found, or what failed and why. It is true if nothing failed: `if saver.health(): ...`.

        Raises:
            InvalidConfig: `within_seconds` is no number; nothing else is raised.
        """
        return drive(self._health(within_seconds))

    async def ahealth(self, *, within_seconds: float = 5.0) -> HealthReport:
        """See `health`."""
        return await drive_async(self._health(within_seconds))

    def _health(self, within_seconds: float) -> Steps[HealthReport]:
        # Loaded at its first use: most processes are never asked.
        from ckptstore.store.health import check_health

        return check_health(self.store, within_seconds)
