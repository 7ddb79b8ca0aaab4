"""The segments of a long run that was divided before are not hashed again, and are the same."""

from __future__ import annotations

import random

import msgpack
import pytest

from ckptstore.records import Value
from ckptstore.values import chunking
from ckptstore.values.chunking import chunk_value, join_segments
from ckptstore.values.digests import compact_digest_of
from ckptstore.values.known_runs import KnownRuns


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


def test_an_unchanged_prefix_is_not_hashed_again(hashed: list[int]) -> None:
    elements = lines(2_000)
    chunk_value(value_of(elements))
    first = sum(hashed)
    hashed.clear()
    chunk_value(value_of([*elements, "new"]))
    assert first > 400_000
    assert sum(hashed) < 40_000


def test_the_parts_are_the_same_as_of_a_value_that_is_divided_for_the_first_time(
    hashed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    elements = lines(1_000)
    for changed in (elements, [*elements, "new"], ["other", *elements], [*elements[:500], "other", *elements[501:]], elements[:700]):
        value = value_of(changed)
        made = chunk_value(value)
        parts = {name: bytes(part) for name, part in made.segments.items()}
        parts |= {name: b"".join(parts[digest] for digest in digests) for name, (_, digests) in made.lists.items()}
        assert join_segments(made.literal, made.layout, parts) == value.data
        with monkeypatch.context() as patch:
            patch.setattr(chunking, "_known_runs", KnownRuns(10_000_000))
            assert chunk_value(value) == made
    assert hashed


def test_a_run_that_differs_in_its_middle_alone_is_another_one() -> None:
    known = KnownRuns(1_000_000)
    data, other = b"a" * 4_000, b"a" * 2_000 + b"b" + b"a" * 1_999
    known.add(data, [0, 1_000, 4_000], ["x", "y"], b"[]", "+z")
    assert known.find(other, 0, 4_000) is None
    assert known.find(data[1:], 0, 3_999) is None
    found = known.find(b"head" + data + b"tail", 4, 4_004)
    assert found is not None
    assert (found.boundaries, found.name) == ([0, 1_000, 4_000], "+z")
