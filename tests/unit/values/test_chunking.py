"""Cutting, packing and naming: whatever the bytes are, the parts put together are the value, and the wrong bytes never come out."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import accumulate
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from ckptstore.errors import BlobMissing
from ckptstore.records import Value
from ckptstore.values import chunking
from ckptstore.values.chunking import BLOB_BYTES, chunk_value, join_segments
from ckptstore.values.digests import compact_digest_of
from ckptstore.values.known_runs import MAX_BYTES, KnownRuns
from tests.support.cuts import LARGEST_RUN_BYTES, boundaries, check, parts
from tests.support.serialised import SERDE, SLOW, blocks, serialised


def msgpack(value: Any) -> Value:
    type_, data = SERDE.dumps_typed(value)
    assert type_ == "msgpack"
    return Value(type_, data)


# --- any bytes at all


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), st.text(max_size=30), st.binary(max_size=30)
)
PARTS = st.one_of(SCALARS, st.integers(0, 80_000).map(lambda size: "x" * size), st.integers(0, 80_000).map(lambda size: b"\0" * size))
STATES = st.one_of(
    st.lists(PARTS, max_size=60),
    st.dictionaries(st.text(max_size=8), PARTS, max_size=30),
    st.lists(PARTS, max_size=30).map(_DeltaSnapshot),
    st.lists(st.lists(SCALARS, max_size=5), max_size=100),
)
HEAVY = settings(SLOW, max_examples=30)


@SLOW
@given(
    blocks(),
    st.sampled_from(["msgpack", "bytes", "bytearray", "json", "pickle", "msgpack+aes", "mine", ""]),
    st.lists(st.floats(0, 1), max_size=12),
    st.lists(st.binary(min_size=32, max_size=32).map(bytes.hex), max_size=3),
)
def test_a_value_of_any_bytes_is_the_sum_of_its_parts(data: bytes, type_: str, places: list[float], references: list[str]) -> None:
    check(Value(type_, data, sorted(int(place * len(data)) for place in places), references))


@SLOW
@given(STATES, st.lists(st.floats(0, 1), max_size=6))
def test_a_state_cut_at_its_elements_and_anywhere_else_is_the_sum_of_its_parts(state: Any, places: list[float]) -> None:
    type_, data = SERDE.dumps_typed(state)
    check(Value(type_, data, sorted(int(place * len(data)) for place in places)))


@SLOW
@given(blocks(20_000))
def test_garbage_that_is_called_msgpack_is_kept_as_it_is(data: bytes) -> None:
    check(Value("msgpack", data))


@SLOW
@given(STATES, st.floats(0, 1))
def test_msgpack_that_ends_early_is_kept_as_it_is(state: Any, part: float) -> None:
    whole = serialised(state)
    check(Value("msgpack", whole[: int(part * len(whole))]))


@pytest.mark.parametrize("level", [b"\x91", b"\x81\xa1a", b"\xdc\x00\x01", b"\xc7\x03\x00\x91"], ids=["array", "map", "array16", "ext"])
@pytest.mark.parametrize("head", [b"", b"\xc9\x00\x00\xff\xff\x07"], ids=["bare", "in a snapshot"])
@pytest.mark.parametrize("end", [b"", b"\xc0"], ids=["open", "closed"])
def test_nesting_of_any_depth_is_kept_as_it_is(level: bytes, head: bytes, end: bytes) -> None:
    check(Value("msgpack", head + level * 10_000 + end))


def test_an_element_that_claims_to_be_larger_than_memory_is_kept_as_it_is() -> None:
    for header in (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff"):
        check(Value("msgpack", b"\x92" + header + b"x" * 1_000))
        check(Value("msgpack", header + b"x" * 1_000))


def test_a_lost_piece_is_named() -> None:
    made = chunk_value(Value("bytes", b"x" * 5_000 + b"y" * 5_000, [5_000]))
    assert len(made.segments) == 2
    for lost in made.segments:
        left = {digest: bytes(piece) for digest, piece in made.segments.items() if digest != lost}
        with pytest.raises(BlobMissing, match=lost):
            join_segments(made.literal, made.layout, left)


# --- where the cuts fall


def text(noise: random.Random, low: int, high: int) -> str:
    size = noise.randint(low, high)
    return noise.randbytes(size // 2 + 1).hex()[:size]


def ends_of_elements(value: Any) -> set[int]:
    """A model: the header, then each element as it is serialised alone."""
    if isinstance(value, _DeltaSnapshot):
        header = len(serialised(value)) - len(serialised(value.value))
        return {header + end for end in ends_of_elements(value.value)}
    parts = [serialised(key) + serialised(item) for key, item in value.items()] if isinstance(value, dict) else map(serialised, value)
    sizes = list(map(len, parts))
    return set(accumulate(sizes, initial=len(serialised(value)) - sum(sizes)))


SHAPES: dict[str, Callable[[list[str]], Any]] = {
    "array": lambda lines: lines,
    "map": lambda lines: {f"key {n}": line for n, line in enumerate(lines)},
    "snapshot": _DeltaSnapshot,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [3, 15, 16, 200, 3_000])
def test_arrays_maps_and_snapshots_are_cut_between_elements(shape: str, count: int) -> None:
    noise = random.Random(count)
    state = SHAPES[shape]([text(noise, 600, 900) for _ in range(count)])
    made = check(msgpack(state))
    assert set(boundaries(made)) <= ends_of_elements(state)
    assert len(made.segments) >= min(3, count)


@SLOW
@given(
    st.integers(0, 2**32),
    st.sampled_from([(0, 3), (0, 40), (0, 300), (60, 70), (900, 1_100), (0, LARGEST_RUN_BYTES - 8)]),
    st.sampled_from([*SHAPES]),
)
def test_runs_of_small_elements_stay_below_the_size_that_leaves_the_database(seed: int, sizes: tuple[int, int], shape: str) -> None:
    noise = random.Random(seed)
    lines = [text(noise, *sizes) for _ in range(max(20, min(5_000, 8 * BLOB_BYTES // (sum(sizes) + 1))))]
    made = check(msgpack(SHAPES[shape](lines)))
    assert max(map(len, made.segments.values())) < BLOB_BYTES


@HEAVY
@given(st.lists(st.sampled_from([0, 10, 500, 3_000, 20_000, 40_000, 70_000, 200_000]), min_size=1, max_size=25), st.integers(0, 2**32))
def test_only_an_element_that_is_large_itself_becomes_a_large_piece(sizes: list[int], seed: int) -> None:
    noise = random.Random(seed)
    lines = [text(noise, size, size) for size in sizes]
    alone = {compact_digest_of(serialised(line)) for line in lines}
    made = check(msgpack(lines))
    assert {digest for digest, piece in made.segments.items() if len(piece) >= BLOB_BYTES} <= alone


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("low", "high"), [(900, 1_100), (200, 300), (3_000, 6_000)])
def test_a_list_that_grows_adds_little_at_every_step(shape: str, low: int, high: int) -> None:
    noise = random.Random(7)
    lines: list[str] = []
    seen: dict[str, int] = {}
    for _ in range(200):
        lines.append(text(noise, low, high))
        state = msgpack(SHAPES[shape](lines))
        made = chunk_value(state)
        assert len(made.segments.keys() - seen.keys()) <= 3
        assert len(made.lists.keys() - seen.keys()) <= 2
        seen |= {digest: len(piece) for digest, piece in made.segments.items()}
        seen |= {digest: len(listing) for digest, (listing, _) in made.lists.items()}
    assert sum(seen.values()) < 4 * len(state.data)


@pytest.mark.parametrize("shape", [list, dict])
@pytest.mark.parametrize(("low", "high", "puts_per_turn"), [(900, 1_100, 1), (200, 1_500, 3), (60, 80, 2)])
def test_a_list_that_loses_its_oldest_elements_adds_little_at_every_step(shape: Any, low: int, high: int, puts_per_turn: int) -> None:
    noise = random.Random(7)
    elements = [(number, text(noise, low, high)) for number in range(200)]
    seen: set[str] = set()
    added = []
    for turn in range(150):
        # Trimmed once a turn: before its first put. The third put changes nothing.
        elements = elements[-199:]
        for put in range(puts_per_turn):
            elements += [(1_000 + 2 * turn + put, text(noise, low, high))] if put < 2 else []
            made = check(msgpack(shape(elements))) if turn > 147 else chunk_value(msgpack(shape(elements)))
            found = {digest: len(piece) for digest, piece in made.segments.items()}
            found |= {digest: len(listing) for digest, (listing, _) in made.lists.items()}
            added.append(sum(size for digest, size in found.items() if digest not in seen))
            seen |= found.keys()
    later = added[20 * puts_per_turn :]
    assert sum(later) / len(later) < 1_500 + 3 * high


@pytest.mark.parametrize(("kept_bytes", "most_names"), [(0, 16), (200, 16), (3_000, 15)])
def test_a_list_that_loses_its_oldest_elements_but_the_first_names_few_pieces(
    kept_bytes: int, most_names: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What other tests divided must not count.
    monkeypatch.setattr(chunking, "_known_runs", KnownRuns(MAX_BYTES))
    noise = random.Random(7)
    first = [text(noise, kept_bytes, kept_bytes)] if kept_bytes else []
    window = [text(noise, 200, 1_000) for _ in range(200)]
    seen: set[str] = set()
    names, added = [], []
    for _ in range(100):
        window = [*window[1:], text(noise, 200, 1_000)]
        made = chunk_value(msgpack([*first, *window]))
        names.append(len(made.layout or ()))
        added.append(sum(len(listing) for name, (listing, _) in made.lists.items() if name not in seen))
        seen |= made.lists.keys()
    assert sum(names[20:]) / 80 < most_names
    # Where its first short run is not in pieces, a list segment is stored anew for each element that is lost.
    assert sum(added[20:]) / 80 < 200


@HEAVY
@given(st.integers(0, 2**32), st.integers(0, 149), st.integers(0, 90_000))
def test_an_edit_in_the_middle_keeps_the_runs_before_it(seed: int, place: int, size: int) -> None:
    noise = random.Random(seed)
    lines = [text(noise, 900, 1_100) for _ in range(150)]
    # Hypothesis repeats its examples: without this, the list's beginning would be known in one of them.
    with mock.patch.object(chunking, "_known_runs", KnownRuns(MAX_BYTES)):
        before = chunk_value(msgpack(lines))
        after = chunk_value(msgpack([*lines[:place], text(noise, size, size), *lines[place + 1 :]]))
    intact = len(serialised(lines)) - sum(len(serialised(line)) for line in lines[place:])
    changed = sum(len(piece) for digest, piece in after.segments.items() if digest not in before.segments)
    behind = sum(len(serialised(line)) for line in lines[place + 1 :])
    # The run that the edit falls in is cut anew.
    assert changed <= behind + size + 10 + BLOB_BYTES
    untouched = {part for part, end in parts(before) if end <= intact - BLOB_BYTES and isinstance(part, str)}
    assert untouched <= after.segments.keys()


@HEAVY
@given(st.integers(0, 2**32), st.integers(1, 150))
def test_a_list_that_shrinks_keeps_the_runs_that_are_left_whole(seed: int, left: int) -> None:
    noise = random.Random(seed)
    lines = [text(noise, 900, 1_100) for _ in range(150)]
    with mock.patch.object(chunking, "_known_runs", KnownRuns(MAX_BYTES)):
        before, after = chunk_value(msgpack(lines)), chunk_value(msgpack(lines[:left]))
    assert sum(len(piece) for digest, piece in after.segments.items() if digest not in before.segments) < LARGEST_RUN_BYTES


def test_bytes_that_are_a_list_of_segments_letter_by_letter_are_not_taken_for_one() -> None:
    noise = random.Random(7)
    made = chunk_value(msgpack([text(noise, size, size) for _ in range(20) for size in (600, 4_100)]))
    listings = {name: listing for name, (listing, _) in made.lists.items()}
    assert max(map(len, listings.values())) >= 64
    for listing in listings.values():
        assert listings.keys().isdisjoint(check(Value("bytes", listing)).segments)
