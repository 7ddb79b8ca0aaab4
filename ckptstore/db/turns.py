"""How long upkeep leaves the write lock of a SQLite file free between its transactions.

SQLite has no queue of those that wait for its lock: each tries again after pauses of its own. Upkeep whose transactions follow each other
without a gap would keep another process, or another saver of this one, waiting until its end, however short each transaction is.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from sqlalchemy import URL

from ckptstore.db.url import is_memory

# SQLite tries again after 1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50 and then each 100 ms. So a connection that has waited 103 ms
# tries at least every 25 ms, and one that has waited longer, within half of that time.
_FREE_SECONDS = 0.03
_FREE_SHARE = 0.5
# Longer, and others would notice it; shorter, and upkeep would take longer: it pauses for about a third of its time.
_MAX_HELD_SECONDS = 0.075


class LockTurns:
    """Counts how long the lock was taken by upkeep without a pause that is long enough for those that wait for it.

    Args:
        url: of the database: on a server, and in memory, nobody waits for such a lock.
        clock: seconds that only increase.
    """

    def __init__(self, url: URL, clock: Callable[[], float] = monotonic) -> None:
        #: Whether there is such a lock.
        self.has_lock = url.get_backend_name() == "sqlite" and not is_memory(url)
        self._clock = clock
        self._held = self._ended_at = 0.0

    def pause_after(self, seconds: float) -> float:
        """How many seconds to pause now, after a transaction that took so many."""
        now = self._clock()
        if now - seconds - self._ended_at >= max(_FREE_SECONDS, self._held * _FREE_SHARE):
            self._held = 0.0
        self._held += seconds
        self._ended_at = now
        if not self.has_lock or self._held < _MAX_HELD_SECONDS:
            return 0.0
        return max(_FREE_SECONDS, self._held * _FREE_SHARE)
