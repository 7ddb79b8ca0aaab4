"""The arithmetic: a store of any size from what was measured at one, and how far that is from what was measured at another.

Every table and index has so many rows for each checkpoint, and so many bytes for each row. Both are taken from one measurement
and hold for any size: a B-tree's pages are filled alike, and only its few inner pages grow by a level now and then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.scale.measured import Measured

_PAGE = 8192
#: After so many transactions PostgreSQL freezes a table whether it needs a vacuum or not (`autovacuum_freeze_max_age`), and after so
#: many it stops taking writes.
FREEZE_EVERY = 200_000_000
WRAPAROUND = 2_000_000_000
_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Prices:
    """What is paid a month, in dollars; the values are assumptions, to be replaced by one's own."""

    gigabyte: float = 0.12
    core: float = 60.0


@dataclass(frozen=True)
class Prediction:
    """A store of some size under some load.

    Attributes:
        bytes_of: by table or index.
        levels_of: by index: pages read from the root to a leaf.
        log_bytes_per_second: of the write-ahead log, without page images.
        log_bytes_with_images: with as many page images for each step as were measured.
        days_to_freeze: until every table has to be frozen.
        servers_for_steps: servers like the measured one that these steps keep busy.
    """

    checkpoints: int
    steps_per_second: float
    bytes_of: Mapping[str, float]
    levels_of: Mapping[str, int]
    log_bytes_per_second: float
    log_bytes_with_images: float
    commits_per_second: float
    days_to_freeze: float
    servers_for_steps: int

    @property
    def bytes(self) -> float:
        """All tables and indexes."""
        return sum(self.bytes_of.values())

    def servers_for_bytes(self, each: float) -> int:
        """Servers of so many bytes each that hold all of it."""
        return math.ceil(self.bytes / each)

    def dollars_a_month(self, prices: Prices, servers: int, cores: int) -> float:
        """Storage and so many servers, with so many cores each."""
        return self.bytes / 1e9 * prices.gigabyte + servers * cores * prices.core


def predict(measured: Measured, checkpoints: int, steps_per_second: float) -> Prediction:
    """What a store of another size would have, under a load of so many steps a second."""
    growth = checkpoints / measured.checkpoints
    bytes_of = {name: part.bytes * growth for name, part in measured.parts.items()}
    # Of an index of a few pages, the bytes of a row say nothing.
    least = measured.bytes / 100
    indexes = {name: part for name, part in measured.parts.items() if name != part.table and part.rows and part.bytes > least}
    levels_of = {name: levels(part.rows * growth, part.bytes / part.rows) for name, part in indexes.items()}
    load = max(measured.loads.values(), key=lambda each: each.per_second)
    commits = load.commits * steps_per_second
    return Prediction(
        checkpoints=checkpoints,
        steps_per_second=steps_per_second,
        bytes_of=bytes_of,
        levels_of=levels_of,
        log_bytes_per_second=load.log_bytes * steps_per_second,
        log_bytes_with_images=(load.log_bytes + load.page_images * _PAGE) * steps_per_second,
        commits_per_second=commits,
        days_to_freeze=FREEZE_EVERY / commits / _SECONDS_PER_DAY,
        servers_for_steps=math.ceil(steps_per_second / load.per_second),
    )


def levels(rows: float, bytes_per_row: float) -> int:
    """How many levels a B-tree has: an inner page points to about as many pages as a leaf has rows."""
    fan_out = max(2.0, _PAGE / bytes_per_row)
    leaves = max(1.0, rows / fan_out)
    return 1 + math.ceil(math.log(leaves, fan_out) - 1e-9)


def error_of(predicted: float, measured: float) -> float:
    """By how much a prediction is too high (or too low, if negative), as a part of what was measured."""
    return predicted / measured - 1
