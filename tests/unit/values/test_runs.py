"""Runs of elements end where the content says so, and nowhere else."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import msgpack
import pytest

from ckptstore.values.runs import LONG_RUN_BYTES, PIECE_BYTES, SHORT_RUN_BYTES, ElementReader, Run


def lines(count: int, size: int = 200, seed: int = 7) -> list[str]:
    noise = random.Random(seed)
    return [noise.randbytes(noise.randint(size // 4, size // 2)).hex() for _ in range(count)]


def long_runs(value: Any) -> list[Run]:
    reader = ElementReader(msgpack.packb(value))
    runs = []
    while reader.remaining:
        runs.append(reader.read_run(reader.position))
    return runs


def parts(value: Any) -> list[bytes]:
    """What each short run of each long run holds."""
    data = msgpack.packb(value)
    ends = [end for run in long_runs(value) for end in [run.start, *run.short_run_ends(SHORT_RUN_BYTES), run.end]]
    return [data[start:end] for start, end in pairwise(ends) if start < end]


@pytest.mark.parametrize("shape", [list, dict])
def test_every_element_is_in_one_run(shape: type) -> None:
    elements = lines(2_000)
    value = elements if shape is list else dict(enumerate(elements))
    runs = long_runs(value)
    assert sum(len(run.hashes) for run in runs) == 2_000
    assert all(run.end == following.start for run, following in pairwise(runs))
    assert runs[-1].end == len(msgpack.packb(value))
    assert [run.is_closed for run in runs[:-1]] == [True] * (len(runs) - 1)


@pytest.mark.parametrize("size", [20, 200, 2_000])
def test_runs_have_about_their_mean_size(size: int) -> None:
    elements = lines(2_000_000 // size, size)
    runs = long_runs(elements)
    shorter = [end for run in runs for end in run.short_run_ends(SHORT_RUN_BYTES)]
    pieces = [end for run in runs for end in run.short_run_ends(PIECE_BYTES)]
    for ends, mean in (([run.end for run in runs], LONG_RUN_BYTES), (shorter, SHORT_RUN_BYTES), (pieces, max(PIECE_BYTES, size))):
        assert 0.5 * mean < runs[-1].end / len(ends) < 1.6 * mean


@pytest.mark.parametrize("changed", [slice(1, None), slice(7, None), slice(333, None), slice(0, 700)])
def test_a_list_that_lost_elements_at_an_end_has_the_same_runs(changed: slice) -> None:
    elements = lines(1_000)
    before, after = parts(elements), parts(elements[changed])
    new = [part for part in after if part not in before]
    assert sum(map(len, new)) < 12 * SHORT_RUN_BYTES
    assert sum(map(len, after)) > 20 * SHORT_RUN_BYTES


def test_elements_that_are_all_the_same_are_divided_evenly() -> None:
    for element in ("", "x" * 50, "x" * 5_000, 7):
        count = 200_000 // len(msgpack.packb(element)) if element else 90_000
        runs = long_runs([element] * min(count, 90_000))
        sizes = [last - first for run in runs for first, last in pairwise([run.start, *run.short_run_ends(SHORT_RUN_BYTES)])]
        assert all(SHORT_RUN_BYTES // 4 <= size <= max(4 * SHORT_RUN_BYTES + 60, 5_003) for size in sizes)


def test_what_is_skipped_is_not_read() -> None:
    elements = lines(500)
    data = bytearray(msgpack.packb(elements))
    [first, *_] = long_runs(elements)
    data[first.start : first.end] = b"\xc1" * (first.end - first.start)
    reader = ElementReader(bytes(data))
    reader.skip(first.end, len(first.hashes))
    assert reader.remaining == 500 - len(first.hashes)
    assert reader.read_run(first.end).hashes == long_runs(elements)[1].hashes


def test_the_beginning_of_a_list_ends_where_the_run_would_that_it_was_cut_from() -> None:
    elements = lines(400)
    [first, *_] = long_runs(elements)
    whole = set(first.short_run_ends(PIECE_BYTES))
    for skipped in range(1, 20):
        rest = first.part(first.ends[skipped], first.end)
        ends = rest.short_run_ends(PIECE_BYTES, is_first=True)
        assert ends[0] <= min(end for end in whole if end > rest.start)


@pytest.mark.parametrize("data", [b"\xc0", b"\xa5hello", b"\xc7\x01\x00\xc0"])
def test_other_values_have_no_elements(data: bytes) -> None:
    assert ElementReader(data).remaining == 0


def test_a_list_that_ends_early_is_an_error() -> None:
    reader = ElementReader(msgpack.packb(lines(100))[:-50])
    with pytest.raises(msgpack.OutOfData):
        reader.read_run(reader.position)
