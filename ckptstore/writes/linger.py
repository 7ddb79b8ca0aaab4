"""How many a batch waits for.

Callers write again and again. Those that the last batch told come back within moments, and to commit costs far more than one
more unit in the same batch: so a batch waits a moment for them, where nobody else writes it goes at once. Many callers take turns
in two groups: one serialises while the batch of the other is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

# A batch waits for so much of the time that the last one took, and never longer than this many seconds.
_PATIENCE = 0.5
_LONGEST_WAIT = 0.005
# With fewer callers a second commit costs more than it saves (measured: 5 lose a quarter, 10 win a fifth).
_PARTED_FROM = 8


class Wanted(NamedTuple):
    """What makes a batch complete."""

    units: int
    #: Whether whoever comes after so many is for the next batch.
    parted: bool


class GroupCommitPolicy:
    """Remembers who was in the last batches, and how long the last one took."""

    def __init__(self) -> None:
        self._last: frozenset[str] = frozenset()
        self._before: frozenset[str] = frozenset()
        self._seconds = 0.0

    def wanted_with(self, threads: Iterable[str]) -> Wanted:
        """What a batch wants that has units of these threads."""
        near = self._last.union(threads)
        everyone = len(near | self._before)
        if everyone >= _PARTED_FROM:
            return Wanted((everyone + 1) // 2, parted=True)
        return Wanted(len(near), parted=False)

    @property
    def patience_seconds(self) -> float:
        """How long it waits for them at most."""
        return min(_PATIENCE * self._seconds, _LONGEST_WAIT)

    def committed(self, threads: Iterable[str], seconds: float) -> None:
        """A batch with units of these threads was stored in so many seconds."""
        self._last, self._before, self._seconds = frozenset(threads), self._last, seconds
