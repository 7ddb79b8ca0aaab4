"""What was counted in the last minute: from copies of the counters, of which whoever counts makes one a second at most."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from ckptstore.monitoring.counters import Counters
from ckptstore.monitoring.lock_waits import LockWaits

#: How much "the last minute" covers, to the second.
WINDOW_SECONDS = 60.0
_INTERVAL_SECONDS = 1.0


class _Copy(NamedTuple):
    #: By `perf_counter`.
    made_at: float
    counters: Counters


class Recent:
    """Copies of counters, from before the first thing that was counted in each second.

    Whoever is about to count calls `note` if `next_at` has passed. While nothing happens, nothing is copied.

    Args:
        counters: the counters.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._copies: deque[_Copy] = deque(maxlen=int(WINDOW_SECONDS / _INTERVAL_SECONDS) + 2)
        #: When the next copy is due, by `perf_counter`.
        self.next_at = -math.inf
        #: When the last one was made.
        self.noted_at = -math.inf
        #: Measured once a second at most.
        self.lock_waits = LockWaits(counters)

    def note(self, now: float) -> None:
        """Copy the counters (`now` by `perf_counter`)."""
        self.noted_at = now
        self.next_at = now + _INTERVAL_SECONDS
        self.lock_waits.tick(now)
        self._copies.append(_Copy(now, self._counters.copy()))

    def counted(self, now: float) -> Counters:
        """What was counted in the last minute before `now`."""
        begin = now - WINDOW_SECONDS
        earliest = next((copy.counters for copy in list(self._copies) if copy.made_at > begin), self._counters)
        return self._counters.since(earliest)

    def reset(self) -> None:
        """Forget the copies."""
        self._copies.clear()
        self.next_at = -math.inf
