"""How long a batch lingers for more writes, as with PostgreSQL's `commit_delay` or Kafka's `linger.ms`.

Callers write again and again. Those whose writes the last batch stored come back within moments, and a commit costs far more than one
more write in the same batch: so a batch lingers for them. It does not where one caller writes alone. Many writers alternate in two
groups: one serialises while the batch of the other is stored. Where a database has several nodes, their writers are such groups.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Set
from contextlib import suppress
from itertools import islice
from queue import Empty, SimpleQueue
from typing import NamedTuple

# A batch lingers for at most this fraction of the time that the last one took, and never for more than so many seconds.
_LINGER_RATIO = 0.5
_MAX_LINGER_SECONDS = 0.005
# A batch that has been under way for as long as several ordinary ones holds up no other threads: it waits for a lock, or takes long.
# Sooner, batches would become small, and each costs a commit.
_OVERTAKE_RATIO = 4
_MIN_OVERTAKE_SECONDS = 0.05
_MAX_OVERTAKE_SECONDS = 0.15
# With fewer threads a second commit costs more than it saves (measured: 5 lose a quarter, 10 win a fifth).
_MIN_ALTERNATING_THREADS = 8
# With fewer threads for each of several nodes, all of which store at the same time, each would wait for the others more than it gains.
_MIN_ALTERNATING_THREADS_PER_NODE = 4
_REMEMBERED = 64


class BatchTarget(NamedTuple):
    """What makes a batch complete."""

    #: How many entries.
    entries: int
    #: When True, the batch closes as soon as it holds `entries` entries; later entries start the next batch.
    alternating: bool


class GroupCommitPolicy:
    """Remembers which threads were in the last batches, and how long the last one took."""

    def __init__(self) -> None:
        #: The threads of each of the last batches, the newest first.
        self._recent: deque[Set[str]] = deque([frozenset(), frozenset()], _REMEMBERED)
        self._last_seconds = 0.0

    def target(self, threads: Set[str], *, queued: bool) -> BatchTarget:
        """What makes a batch complete that has entries of these threads.

        Args:
            threads: the threads.
            queued: whether its entries waited in the queue while the last batch was stored, so that there are several callers.
        """
        last, before_last = self._recent[0], self._recent[1]
        if not queued and len(last) <= 1:
            # One caller, who may write to one thread after the other.
            return BatchTarget(len(threads), alternating=False)
        recent = threads | last
        active = len(recent | before_last)
        if active >= _MIN_ALTERNATING_THREADS:
            return BatchTarget((active + 1) // 2, alternating=True)
        return BatchTarget(len(recent), alternating=False)

    @property
    def linger_seconds(self) -> float:
        """How long a batch waits for its target at most."""
        return min(_LINGER_RATIO * self._last_seconds, _MAX_LINGER_SECONDS)

    @property
    def overtake_seconds(self) -> float:
        """How long a batch is under way before another one may overtake it, where the database takes several."""
        return min(max(_OVERTAKE_RATIO * self._last_seconds, _MIN_OVERTAKE_SECONDS), _MAX_OVERTAKE_SECONDS)

    def committed(self, threads: Set[str], seconds: float) -> None:
        """Note that a batch with entries of these threads took so many seconds."""
        self._recent.appendleft(threads)
        self._last_seconds = seconds

    def nodes_at_a_time(self, nodes: int) -> int:
        """How many of a database's nodes store batches at the same time.

        All of them where few threads are written to. Of many threads, half of the nodes store those that the callers of the other half
        have written meanwhile: as many writes are under way as if each node's writers alternated in two groups, in half as many batches.
        """
        active = frozenset[str]().union(*islice(self._recent, 2 * nodes))
        return nodes if len(active) < _MIN_ALTERNATING_THREADS_PER_NODE * nodes else (nodes + 1) // 2


class Arrivals:
    """Wakes the worker thread whose batch lingers; those who add entries take no lock.

    Args:
        target: how many pending entries complete the batch.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._complete: SimpleQueue[None] = SimpleQueue()

    def arrived(self, pending: int) -> None:
        """Note how many entries are pending now; from any thread."""
        if pending >= self._target:
            self._complete.put(None)

    def wait(self, pending: int, seconds: float) -> None:
        """Wait until there are enough, or for so many seconds."""
        if pending < self._target and seconds > 0:
            with suppress(Empty):
                self._complete.get(timeout=seconds)
