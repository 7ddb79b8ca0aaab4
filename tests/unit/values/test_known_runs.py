"""The segments of a long run that was divided before are not hashed again, and are the same."""

from __future__ import annotations

import random

import msgpack
import pytest

from ckptstore.records import Value
from ckptstore.values import chunking
from ckptstore.values.chunking import ChunkedValue, chunk_value, join_segments
from ckptstore.values.digests import compact_digest_of
from ckptstore.values.known_runs import _SETTLED_AFTER, DividedRun, KnownRuns


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of what is hashed from here on, and no run is known."""
    sizes: list[int] = []

    def digest(data: bytes | memoryview) -> str:
        sizes.append(len(data))
        return compact_digest_of(data)

    monkeypatch.setattr(chunking, "_known_runs", KnownRuns(10_000_000))
    monkeypatch.setattr("ckptstore.values.chunking.compact_digest_of", digest)
    return sizes


def lines(count: int, seed: int = 7) -> list[str]:
    noise = random.Random(seed)
    return [noise.randbytes(100).hex() for _ in range(count)]


def value_of(elements: object, leaf_offsets: tuple[int, ...] = ()) -> Value:
    return Value("msgpack", msgpack.packb(elements), leaf_offsets)


def settled(value: Value) -> ChunkedValue:
    """The value divided as one whose beginning has not changed for a while."""
    for _ in range(_SETTLED_AFTER):
        chunk_value(value)
    return chunk_value(value)


def test_an_unchanged_prefix_is_not_hashed_again(hashed: list[int]) -> None:
    elements = lines(2_000)
    chunk_value(value_of(elements))
    assert sum(hashed) > 400_000
    settled(value_of(elements))
    hashed.clear()
    chunk_value(value_of([*elements, "new"]))
    assert sum(hashed) < 10_000


def test_a_list_that_lost_its_first_elements_is_hashed_only_there(hashed: list[int]) -> None:
    elements = lines(2_000)
    chunk_value(value_of(elements))
    hashed.clear()
    chunk_value(value_of([*elements[10:], "new"]))
    assert sum(hashed) < 120_000


def test_the_parts_are_the_same_as_of_a_value_that_is_divided_for_the_first_time(
    hashed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    elements = lines(1_000)
    for changed in (elements, [*elements, "new"], ["other", *elements], [*elements[:500], "other", *elements[501:]], elements[:700]):
        value = value_of(changed)
        made = settled(value)
        parts = {name: bytes(part) for name, part in made.segments.items()}
        parts |= {name: b"".join(parts[digest] for digest in digests) for name, (_, digests) in made.lists.items()}
        assert join_segments(made.literal, made.layout, parts) == value.data
        with monkeypatch.context() as patch:
            patch.setattr(chunking, "_known_runs", KnownRuns(10_000_000))
            assert settled(value) == made
    assert hashed


def run_of(data: bytes, boundaries: list[int], *, is_closed: bool = True) -> DividedRun:
    return DividedRun(data, 3, is_closed, boundaries, ["x", "y"], b"[]", "+z")


def test_a_run_that_differs_in_its_middle_alone_is_another_one() -> None:
    known = KnownRuns(1_000_000)
    data, other = b"a" * 4_000, b"a" * 3_000 + b"b" + b"a" * 999
    known.add(run_of(data, [0, 1_000, 4_000]))
    assert known.find(other, 0, 10) is None
    assert known.find(data[1:], 0, 10) is None
    assert known.find(data, 0, 2) is None
    found = known.find(b"head" + data + b"tail", 4, 10)
    assert found is not None
    assert (found.boundaries, found.name) == ([0, 1_000, 4_000], "+z")


def test_the_longest_known_beginning_of_a_run_is_found_and_the_run_before_it() -> None:
    known = KnownRuns(1_000_000)
    data = random.Random(7).randbytes(9_000)
    for length in (3_000, 6_000):
        known.add(run_of(data[:length], [0, length], is_closed=False))
        found = known.find(data, 0, 10)
        assert found is not None
        assert found.data == data[:length]
    known.add(run_of(data[:8_000], [0, 8_000]))
    found = known.find(data, 0, 10)
    assert found is not None
    assert found.is_closed


def test_a_beginning_is_settled_after_some_values_had_it() -> None:
    known = KnownRuns(1_000_000)
    assert [known.is_settled("a") for _ in range(_SETTLED_AFTER + 2)] == [False] * _SETTLED_AFTER + [True, True]
    assert not known.is_settled("b")
