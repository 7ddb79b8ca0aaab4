"""What was counted in the last minute: from copies of the counters, which operations make, at most one a second."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple, TypeVar

from ckptstore.monitoring.counters import Counters
from ckptstore.monitoring.lock_waits import LockWaits

#: How much "the last minute" covers, to the second.
WINDOW_SECONDS = 60.0
#: How often the counters are copied, at most.
INTERVAL_SECONDS = 1.0


T = TypeVar("T")


def drain(noted: deque[T]) -> Iterator[T]:
    """Take out what is there. Of several threads that do so at once, each gets other items."""
    for _ in range(len(noted)):
        with suppress(IndexError):
            yield noted.popleft()


class _Copy(NamedTuple):
    #: By `perf_counter`.
    made_at: float
    counters: Counters


class Recent:
    """Copies of counters, from before the first thing that was counted in each second.

    Before something is counted, `note` is called if `next_at` has passed. While nothing happens, nothing is copied.

    Args:
        counters: the counters.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._copies: deque[_Copy] = deque(maxlen=int(WINDOW_SECONDS / INTERVAL_SECONDS) + 2)
        #: When the next copy is due, by `perf_counter`.
        self.next_at = -math.inf
        #: When the last one was made.
        self.noted_at = -math.inf
        #: Measured once a second at most.
        self.lock_waits = LockWaits(counters)

    def note(self, now: float, copied: Counters) -> None:
        """Keep a copy of the counters that was made now (`now` by `perf_counter`)."""
        self.noted_at = now
        self.next_at = now + INTERVAL_SECONDS
        self.lock_waits.tick(now)
        self._copies.append(_Copy(now, copied))

    def counted(self, now: float) -> Counters:
        """What was counted in the last minute before `now`."""
        begin = now - WINDOW_SECONDS
        copies = list(self._copies)
        otherwise = self._counters if copies else Counters()
        return self._counters.since(next((copy.counters for copy in copies if copy.made_at > begin), otherwise))

    def reset(self) -> None:
        """Forget the copies."""
        self._copies.clear()
        self.next_at = -math.inf
