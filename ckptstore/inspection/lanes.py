"""How a history is drawn: each checkpoint in a lane, each fork as two lanes that meet, as `git log --graph` does.

Nothing here knows whether it is drawn in a terminal or in a picture.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)


class Drawn(NamedTuple, Generic[K]):
    """One row of a drawing."""

    key: K
    #: The lane of the checkpoint, from 0.
    lane: int
    #: Other lanes that end in this checkpoint: branches that were forked from it.
    joined: Sequence[int]
    #: Lanes of other checkpoints, which pass.
    passing: Sequence[int]
    #: Whether the lane continues below, to the parent.
    goes_on: bool


def draw(history: Sequence[tuple[K, K | None]]) -> list[Drawn[K]]:
    """Rows with lanes.

    Args:
        history: newest first, each with its parent; None where the lane ends. A parent that is not in the history keeps its lane.
    """
    # What each lane waits for; None for a lane that is free.
    lanes: list[K | None] = []
    drawn = []
    for key, parent in history:
        waiting = [number for number, wanted in enumerate(lanes) if wanted == key]
        lane = waiting[0] if waiting else _free(lanes)
        for number in waiting:
            lanes[number] = None
        passing = [number for number, wanted in enumerate(lanes) if wanted is not None]
        lanes[lane] = parent
        drawn.append(Drawn(key, lane, waiting[1:], passing, parent is not None))
    return drawn


def _free(lanes: list[K | None]) -> int:
    """The first lane that nobody uses; a new one if there is none."""
    for number, wanted in enumerate(lanes):
        if wanted is None:
            return number
    lanes.append(None)
    return len(lanes) - 1
