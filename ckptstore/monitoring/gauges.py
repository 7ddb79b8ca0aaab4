"""The state of a store that metrics show."""

from __future__ import annotations

from typing import NamedTuple


class Gauges(NamedTuple):
    """The state of one store at a moment."""

    queue_depth: int
    in_flight: int
    connections_in_use: int
    connections_idle: int
