"""Histograms on a fixed logarithmic scale: plain lists of counts, to which many threads add without a lock.

To count a duration is one expression: `counts[bisect(BOUNDS, seconds)] += 1`. What every step pays for notes durations only, and leaves
that for later, see `operation`. Without a global interpreter lock two threads may count as one now and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

# Four to each doubling: a quantile is off by a tenth at most.
_STEP = 2**0.25
#: Where one bucket ends and the next begins: from a microsecond to 20 minutes, in seconds.
BOUNDS: tuple[float, ...] = tuple(1e-6 * _STEP**number for number in range(121))
#: The same for the number of writes in a batch.
SIZE_BOUNDS: tuple[float, ...] = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 500)


def new_counts() -> list[int]:
    """A histogram of durations without any."""
    return [0] * (len(BOUNDS) + 1)


def new_size_counts() -> list[int]:
    """A histogram of sizes without any."""
    return [0] * (len(SIZE_BOUNDS) + 1)


def duration_at(counts: Sequence[int], fraction: float) -> float | None:
    """The duration that this fraction of all does not exceed, in seconds; None if there is none."""
    bucket = _bucket_at(counts, fraction)
    if bucket is None:
        return None
    # The middle of its bucket, on the scale.
    return float(BOUNDS[min(bucket, len(BOUNDS) - 1)] / _STEP**0.5)


def size_at(counts: Sequence[int], fraction: float) -> int | None:
    """The size that this fraction of all does not exceed, rounded down to where its bucket begins; None if there is none."""
    bucket = _bucket_at(counts, fraction)
    return None if bucket is None else int(SIZE_BOUNDS[max(0, bucket - 1)])


def _bucket_at(counts: Sequence[int], fraction: float) -> int | None:
    total = sum(counts)
    if not total:
        return None
    wanted = fraction * total
    return next(number for number, count in enumerate(accumulate(counts)) if count >= wanted)
