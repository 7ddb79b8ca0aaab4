"""Quantiles of a histogram against those of the durations themselves."""

from __future__ import annotations

from bisect import bisect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptstore.monitoring.histogram import BOUNDS, SIZE_BOUNDS, duration_at, new_counts, new_size_counts, size_at
from ckptstore.writes.batch import MAX_ENTRIES


def counted(durations: list[float]) -> list[int]:
    counts = new_counts()
    for seconds in durations:
        counts[bisect(BOUNDS, seconds)] += 1
    return counts


@given(st.lists(st.floats(2e-6, 1_000), min_size=1), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_off_by_a_tenth_at_most(durations: list[float], fraction: float) -> None:
    exact = next(seconds for rank, seconds in enumerate(sorted(durations), start=1) if rank >= fraction * len(durations))
    found = duration_at(counted(durations), fraction)
    assert found is not None
    assert exact / 1.1 < found < exact * 1.1


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 1e9])
def test_durations_beyond_the_scale_are_counted_at_its_ends(seconds: float) -> None:
    found = duration_at(counted([seconds]), 0.5)
    assert found is not None
    assert found < 1e-6 if seconds <= 0 else found > 900


def test_without_durations_there_is_no_quantile() -> None:
    assert duration_at(new_counts(), 0.99) is None
    assert size_at(new_size_counts(), 0.5) is None


@pytest.mark.parametrize(("size", "shown"), [(1, 1), (2, 2), (5, 4), (MAX_ENTRIES, MAX_ENTRIES)])
def test_sizes_of_batches(size: int, shown: int) -> None:
    counts = new_size_counts()
    counts[bisect(SIZE_BOUNDS, size)] += 1
    assert size_at(counts, 0.5) == shown
