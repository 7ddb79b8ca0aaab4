"""Cutting, packing and naming: whatever the bytes are, the parts put together are the value, and the wrong bytes never come out."""

from __future__ import annotations

import json
import pickle
import random
import tracemalloc
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from ckptstore.errors import BlobCorrupt, BlobMissing
from ckptstore.handles import BlobRef, digests_in, handle_to
from ckptstore.records import LoadedSegment, Value
from ckptstore.values.binary_leaves import locate_leaves, walk_large_leaves
from ckptstore.values.cache import MemoryCache
from ckptstore.values.chunking import BLOB_BYTES, ChunkedValue, chunk_value, join_segments, layout_digests
from ckptstore.values.compression import compress, decompress_segment
from ckptstore.values.decode import SegmentSet, StoredValue
from ckptstore.values.digests import blob_reference, compact_digest_of, digest_of

SERDE = JsonPlusSerializer()
LITERAL_BYTES = 64
LARGEST_RUN_BYTES = 32 * 1024


def serialised(value: Any) -> bytes:
    return SERDE.dumps_typed(value)[1]


def msgpack(value: Any) -> Value:
    type_, data = SERDE.dumps_typed(value)
    assert type_ == "msgpack"
    return Value(type_, data)


def flat(made: ChunkedValue, entry: str | int) -> list[str | int]:
    """What an entry of a layout stands for: a list of segments for those that it names."""
    return list(made.lists[entry][1]) if isinstance(entry, str) and entry in made.lists else [entry]


def entries(made: ChunkedValue) -> list[str | int]:
    """The layout up to its references, without the size of a literal that is compressed."""
    named = [entry for entry in takewhile(lambda entry: entry is not None, made.layout or ()) if entry is not None]
    return named[1:] if named and isinstance(named[0], int) and named[0] < 0 else named


def literal_size(made: ChunkedValue) -> int:
    """Bytes of the literal before it was compressed."""
    first = made.layout[0] if made.layout else None
    return -first if isinstance(first, int) and first < 0 else len(made.literal)


def parts(made: ChunkedValue) -> list[tuple[str | int, int]]:
    """The parts of a value, each with where it ends."""
    named = [part for entry in entries(made) for part in flat(made, entry)]
    return list(zip(named, accumulate(part if isinstance(part, int) else len(made.segments[part]) for part in named), strict=True))


def boundaries(made: ChunkedValue) -> list[int]:
    return [end for _, end in parts(made)]


def reread(made: ChunkedValue) -> bytes:
    """The value after all its segments were packed, and unpacked as a reader does it."""
    pieces = SegmentSet(MemoryCache(0))
    for digest, part in made.segments.items():
        encoding, stored = compress(part)
        pieces.add(LoadedSegment(digest, None, len(part), encoding, bytes(stored)))
    for digest, (listing, _) in made.lists.items():
        pieces.add(LoadedSegment(digest, None, len(listing), "list", listing))
    return StoredValue.from_row(pieces, "", made.literal, None if made.layout is None else json.dumps(made.layout)).data


def check(value: Value) -> ChunkedValue:
    """What holds for every value."""
    made = chunk_value(value)
    assert reread(made) == value.data
    assert all(compact_digest_of(piece) == digest for digest, piece in made.segments.items())
    assert all(json.loads(listing) == list(names) for listing, names in made.lists.values())
    layout = list(made.layout or ())
    references = layout[layout.index(None) + 1 :] if None in layout else []
    assert references == [blob_reference(digest) for digest in value.blob_digests]
    if made.layout is not None:
        assert list(layout_digests(made.layout)) == [entry for entry in entries(made) if isinstance(entry, str)]
        assert sum(entry for entry in entries(made) if isinstance(entry, int)) == literal_size(made)
        assert {part for part, _ in parts(made) if isinstance(part, str)} == made.segments.keys()
        assert boundaries(made)[-1:] in ([len(value.data)], [])
    # What is named in the layout itself is worth a row; a list has no other place for its parts.
    assert all(len(made.segments[entry]) >= LITERAL_BYTES for entry in entries(made) if entry in made.segments)
    assert made.lists.keys().isdisjoint(made.segments)
    return made


# --- any bytes at all

INTERESTING_FIRST_BYTES = (0x80, 0x8F, 0x90, 0x9F, 0xC1, 0xC6, 0xC7, 0xC8, 0xC9, 0xD8, 0xDC, 0xDD, 0xDE, 0xDF)


@st.composite
def blocks(draw: st.DrawFn, most: int = 150_000) -> bytes:
    """Bytes of any length around the bounds, random or repeating, with a head that may look like something."""
    size = draw(st.one_of(st.integers(0, 2_000), st.sampled_from([0, 511, 512, 513, BLOB_BYTES - 1, BLOB_BYTES]), st.integers(0, most)))
    noise = random.Random(draw(st.integers(0, 2**32)))
    data = noise.randbytes(size) if draw(st.booleans()) else (noise.randbytes(7) * (size // 7 + 1))[:size]
    head = draw(st.one_of(st.just(b""), st.binary(max_size=12), st.sampled_from(INTERESTING_FIRST_BYTES).map(lambda first: bytes([first]))))
    return (head + data)[: max(size, len(head))]


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
SLOW = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
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
    noise, lines, seen = random.Random(7), [], {}
    for _ in range(200):
        lines.append(text(noise, low, high))
        state = msgpack(SHAPES[shape](lines))
        made = chunk_value(state)
        assert len(made.segments.keys() - seen.keys()) <= 3
        assert len(made.lists.keys() - seen.keys()) <= 1
        seen |= {digest: len(piece) for digest, piece in made.segments.items()}
        seen |= {digest: len(listing) for digest, (listing, _) in made.lists.items()}
    assert sum(seen.values()) < 4 * len(state.data)


@HEAVY
@given(st.integers(0, 2**32), st.integers(0, 149), st.integers(0, 90_000))
def test_an_edit_in_the_middle_keeps_the_runs_before_it(seed: int, place: int, size: int) -> None:
    noise = random.Random(seed)
    lines = [text(noise, 900, 1_100) for _ in range(150)]
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
    before, after = chunk_value(msgpack(lines)), chunk_value(msgpack(lines[:left]))
    assert sum(len(piece) for digest, piece in after.segments.items() if digest not in before.segments) < LARGEST_RUN_BYTES


def test_bytes_that_are_a_list_of_segments_letter_by_letter_are_not_taken_for_one() -> None:
    noise = random.Random(7)
    made = chunk_value(msgpack([text(noise, size, size) for _ in range(20) for size in (600, 4_100)]))
    listings = {name: listing for name, (listing, _) in made.lists.items()}
    assert max(map(len, listings.values())) >= 64
    for listing in listings.values():
        assert listings.keys().isdisjoint(check(Value("bytes", listing)).segments)


# --- packing


@SLOW
@given(blocks())
def test_a_segment_is_unpacked_as_it_was_packed(data: bytes) -> None:
    encoding, stored = compress(memoryview(data))
    assert len(stored) <= len(data)
    assert decompress_segment(compact_digest_of(data), len(data), encoding, bytes(stored)) == data


@pytest.mark.parametrize("size", [0, 1, 100, 10_000, BLOB_BYTES, 300_000])
def test_what_does_not_shrink_stays_raw(size: int) -> None:
    data = random.Random(size).randbytes(size)
    encoding, stored = compress(data)
    assert (encoding, bytes(stored)) == ("raw", data)


@pytest.mark.parametrize("size", [1_000, BLOB_BYTES, 300_000])
def test_what_shrinks_is_compressed(size: int) -> None:
    encoding, stored = compress((b"line after line " * size)[:size])
    assert encoding.startswith("zstd")
    assert len(stored) < size // 10


SEGMENT = b"all work and no play " * 50


ENCODINGS = ["raw", "zstd", "zstd-messages"]


def stored_segment(encoding: str) -> bytes:
    if encoding == "raw":
        return SEGMENT
    if encoding == "zstd":
        return zstandard.ZstdCompressor().compress(SEGMENT)
    made, stored = compress(SEGMENT)
    assert made == encoding
    return bytes(stored)


def unpack(encoding: str, stored: bytes, size: int = len(SEGMENT), digest: str = compact_digest_of(SEGMENT)) -> bytes:
    return decompress_segment(digest, size, encoding, stored)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_flipped_bit_gives_other_bytes(encoding: str) -> None:
    stored = stored_segment(encoding)
    refused = 0
    for bit in range(8 * len(stored)):
        altered = bytearray(stored)
        altered[bit // 8] ^= 1 << bit % 8
        try:
            # Some bits of a zstd frame mean nothing.
            assert unpack(encoding, bytes(altered)) == SEGMENT
            assert encoding != "raw"
        except BlobCorrupt:
            refused += 1
    assert refused >= 7 * len(stored)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_truncated_segment_is_used(encoding: str) -> None:
    stored = stored_segment(encoding)
    for length in range(len(stored)):
        with pytest.raises(BlobCorrupt):
            unpack(encoding, stored[:length])


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "wrong",
    [{"size": len(SEGMENT) - 1}, {"size": len(SEGMENT) + 1}, {"size": 0}, {"size": 2**62}, {"digest": compact_digest_of(b"")}],
    ids=["a byte less", "a byte more", "nothing", "far too much", "another digest"],
)
def test_no_segment_of_another_size_or_digest_is_used(encoding: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(BlobCorrupt):
        unpack(encoding, stored_segment(encoding), **wrong)


@pytest.mark.parametrize("encoding", [*ENCODINGS, "gzip"])
@pytest.mark.parametrize(
    "stored",
    [b"", b"\x28\xb5\x2f\xfd", b"no frame at all" * 70, zstandard.ZstdCompressor().compress(b""), b"\x50\x2a\x4d\x18\x00\x00\x00\x00"],
    ids=["nothing", "a magic number", "text", "an empty frame", "a frame to skip"],
)
def test_what_is_no_frame_is_corrupt(encoding: str, stored: bytes) -> None:
    with pytest.raises(BlobCorrupt):
        unpack(encoding, stored)


@pytest.mark.parametrize("encoding", ENCODINGS[1:])
@pytest.mark.parametrize("claimed", [2**40, 2**62, 2**64 - 3])
def test_a_frame_that_claims_more_than_memory_holds_is_corrupt(claimed: int, encoding: str) -> None:
    stored = stored_segment("zstd")
    # Another descriptor: eight bytes of content size, one segment. What follows is the frame's block.
    header = stored[:4] + b"\xe0" + claimed.to_bytes(8, "little")
    assert zstandard.get_frame_parameters(header + stored[7:]).content_size == claimed
    with pytest.raises(BlobCorrupt):
        unpack(encoding, header + stored[7:])


@pytest.mark.parametrize("encoding", ENCODINGS[1:])
@pytest.mark.parametrize("says_its_size", [True, False])
def test_a_bomb_is_refused_before_it_is_inflated(says_its_size: bool, encoding: str) -> None:
    content = bytes(64 * 1024 * 1024)
    if says_its_size:
        bomb = zstandard.ZstdCompressor().compress(content)
    else:
        compressing = zstandard.ZstdCompressor(write_content_size=False).compressobj()
        bomb = compressing.compress(content) + compressing.flush()
    assert len(bomb) < 10_000
    tracemalloc.start()
    try:
        with pytest.raises(BlobCorrupt):
            unpack(encoding, bomb)
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


# --- large leaves in serialised bytes


def framed(value: Any) -> bytes:
    """A serialiser of somebody's own: a tag and a length before everything."""
    if isinstance(value, dict):
        return b"d%d:" % len(value) + b"".join(framed(key) + framed(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return b"l%d:" % len(value) + b"".join(map(framed, value))
    data = value.encode() if isinstance(value, str) else bytes(value)
    return b"b%d:" % len(data) + data


SERIALISERS: dict[str, Callable[[Any], bytes]] = {
    "JsonPlusSerializer": serialised,
    "pickle": pickle.dumps,
    "pickle 5": lambda value: pickle.dumps(value, protocol=5),
    "its own": framed,
}


def found(value: Any, data: bytes) -> list[bytes]:
    """What lies between the cuts."""
    cuts = locate_leaves(walk_large_leaves(value), data)
    assert cuts == sorted(cuts)
    return [data[start:end] for start, end in zip(cuts[::2], cuts[1::2], strict=True)]


def leaf(seed: int, size: int = BLOB_BYTES) -> bytes:
    return random.Random(seed).randbytes(size)


OWN_HEADER = b"\xc6\x00\x01\x00\x00"
HOSTILE: dict[str, list[bytes]] = {
    "zeros": [bytes(BLOB_BYTES)],
    "zeros twice": [bytes(BLOB_BYTES), bytes(BLOB_BYTES)],
    "zeros of growing length": [bytes(BLOB_BYTES + n) for n in range(4)],
    "zeros of shrinking length": [bytes(BLOB_BYTES + n) for n in (3, 2, 1, 0)],
    "its own header again and again": [OWN_HEADER * 20_000],
    "equal": [leaf(1), leaf(1), leaf(1)],
    "one within the next": [leaf(1), leaf(2) + leaf(1) + leaf(3)],
    "one within the last": [leaf(2) + leaf(1) + leaf(3), leaf(1)],
    "one that begins as the next": [leaf(1), leaf(1) + leaf(2)],
    "one that begins as the last": [leaf(1) + leaf(2), leaf(1)],
    "one that ends as the next begins": [leaf(2) + leaf(1), leaf(1) + leaf(3)],
}


@pytest.mark.parametrize("serialiser", SERIALISERS)
def test_every_large_leaf_is_found_in_its_order(serialiser: str) -> None:
    first, second, third, fourth = (leaf(n, BLOB_BYTES + n) for n in range(4))
    value = {
        "a": first,
        "deep": [{"b": (second, "text", leaf(9, 1_000))}, "x"],
        "c": bytearray(third),
        "d": leaf(8, BLOB_BYTES - 1),
        "e": fourth,
    }
    assert found(value, SERIALISERS[serialiser](value)) == [first, second, third, fourth]


@pytest.mark.parametrize("serialiser", ["JsonPlusSerializer", "its own"])
@pytest.mark.parametrize("hostile", HOSTILE)
def test_leaves_with_hostile_contents_are_found(serialiser: str, hostile: str) -> None:
    leaves = HOSTILE[hostile]
    data = SERIALISERS[serialiser](leaves)
    assert found(leaves, data) == leaves
    assert {compact_digest_of(each) for each in leaves} <= check(
        Value("mine", data, locate_leaves(walk_large_leaves(leaves), data))
    ).segments.keys()


def test_a_leaf_behind_many_like_it_costs_only_itself() -> None:
    decoys = [leaf(1)[:100]] * 1_000
    value = {"decoys": decoys, "hidden": leaf(1), "plain": leaf(2)}
    assert found(value, serialised(value)) in ([leaf(1), leaf(2)], [leaf(2)])


def test_a_leaf_that_was_serialised_as_something_else_is_left_out() -> None:
    assert found([leaf(1), leaf(2)], leaf(3) + leaf(2)) == [leaf(2)]
    assert found([leaf(1)], leaf(1)[:-1]) == []
    assert found([leaf(1)], b"") == []


class Searched(bytes):
    """Bytes that count how much of them was searched."""

    searched = 0

    def find(self, *args: Any) -> int:
        at = super().find(*args)
        self.searched += (len(self) if at < 0 else at) - args[1]
        return at


def test_leaves_that_are_not_in_the_bytes_are_not_searched_for_one_by_one() -> None:
    # As under encryption: hundreds of leaves, and none of them is there.
    leaves = [n.to_bytes(8) * (BLOB_BYTES // 8) for n in range(300)]
    ciphertext = Searched(leaf(0, 300 * BLOB_BYTES))
    assert locate_leaves(leaves, ciphertext) == []
    assert ciphertext.searched < 50 * len(ciphertext)


@pytest.mark.parametrize(
    "view",
    [
        memoryview(array("d", range(20_000))),
        memoryview(leaf(1, 2 * BLOB_BYTES))[::2],
        memoryview(leaf(1))[::-1],
        memoryview(leaf(1, 1 << 17)).cast("B", (1 << 8, 1 << 9)),
        memoryview(bytearray(leaf(1))),
    ],
    ids=["of floats", "every other byte", "backwards", "of two dimensions", "writable"],
)
def test_a_view_of_any_shape_is_found_by_its_bytes(view: memoryview) -> None:
    data = b"head" + view.tobytes() + b"tail"
    assert found({"view": [view]}, data) == [view.tobytes()]


def test_a_small_view_is_no_large_leaf() -> None:
    assert list(walk_large_leaves([memoryview(array("d", range(8_000))), memoryview(b"")])) == []


# --- handles in serialised bytes


@dataclass
class Page:
    document: BlobRef
    title: str


HANDLES = [handle_to(digest_of(bytes([n])), n, None if n % 2 else "application/pdf") for n in range(6)]


@pytest.mark.parametrize(
    "value",
    [
        HANDLES,
        [handle.id for handle in HANDLES],
        "".join(f"see {handle.id}{'' if n % 2 else 'a'}" for n, handle in enumerate(HANDLES)),
        {handle.id: n for n, handle in enumerate(HANDLES)},
        [Page(handle, "x" * 1_000) for handle in HANDLES],
        [
            HumanMessage(HANDLES[0].id, additional_kwargs={"files": HANDLES[1:3]}),
            ToolMessage("", artifact={"x": HANDLES[3:]}, tool_call_id="t"),
        ],
        {"deep": [{"er": tuple(HANDLES[:3])}, [[[[{"est": HANDLES[3:]}]]]]]},
        _DeltaSnapshot(HANDLES),
        HANDLES + HANDLES[::-1],
        "\n".join(handle.id for handle in HANDLES).encode(),
    ],
    ids=["handles", "ids", "text", "keys", "dataclass", "messages", "nested", "snapshot", "twice", "bytes"],
)
@pytest.mark.parametrize("serialiser", ["JsonPlusSerializer", "pickle"])
def test_handles_are_found_wherever_they_are_each_once(value: Any, serialiser: str) -> None:
    assert digests_in(SERIALISERS[serialiser](value)) == [handle.digest for handle in HANDLES]


@pytest.mark.parametrize("data", [b"", b"ckptblob:", b"ckptblob:" + b"g" * 64, b"ckptblob:" + b"a" * 63, b"CKPTBLOB:" + b"a" * 64])
def test_what_only_looks_like_a_handle_names_nothing(data: bytes) -> None:
    assert digests_in(data) == []


@given(st.lists(st.one_of(st.binary(max_size=80), st.integers(0, 5)), max_size=12))
def test_handles_between_any_bytes_are_found(parts: Sequence[bytes | int]) -> None:
    data = b"".join(HANDLES[part].id.encode() if isinstance(part, int) else part for part in parts)
    assert {HANDLES[part].digest for part in parts if isinstance(part, int)} <= set(digests_in(data))
