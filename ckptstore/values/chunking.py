"""Divide serialised values into segments, at boundaries that the next version of a value is likely to share.

The concatenation of the segments is exactly the value, wherever the boundaries are; they decide only how much of the next version
is stored already. There is a boundary before and after each large binary leaf, and between runs of elements of a top-level
msgpack array or map. A run ends when it reaches a size, counted from the first element, so a list that grows keeps all of its complete
runs. A long run is stored as a list of short ones: a segment that names segments.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgpack

from ckptstore.errors import BlobMissing
from ckptstore.records import Layout, Value
from ckptstore.values.compression import compress, decompress
from ckptstore.values.digests import blob_reference, both_digests_of, compact_digest_of, list_digest
from ckptstore.values.known_runs import MAX_BYTES, KnownRuns

#: Segments and binary leaves of at least this size are stored in blob storage, if the saver has one.
BLOB_BYTES = 64 * 1024
# A smaller value is cheaper in its own row than as a segment.
_INLINE_BYTES = 512
# A smaller part is cheaper in the value's row than as a segment.
_LITERAL_BYTES = 64
# A run ends when it has this many bytes. A long run stays below `BLOB_BYTES` and is a list of short ones; the elements after the last
# long run are divided by the next smaller size, and so on.
_LONG_RUN_BYTES = 32 * 1024
_SHORT_RUN_BYTES = (4 * 1024, _INLINE_BYTES)
# A list of fewer segments costs more than naming them in the layout.
_MIN_LIST_LENGTH = 3
# Finding the elements of a longer array takes longer than storing the array whole.
_MAX_ELEMENTS = 100_000

# Length of the header of a msgpack extension type (`ext 8`, `ext 16`, `ext 32`), by its first byte.
_EXT_HEADERS = {0xC7: 3, 0xC8: 4, 0xC9: 6}

_known_runs = KnownRuns(MAX_BYTES)


class ChunkedValue(NamedTuple):
    """A value divided into segments."""

    #: The parts that are stored in the value's own row, concatenated, and perhaps compressed.
    literal: bytes
    #: How to join the parts, or None where `literal` is the whole value.
    layout: Layout | None
    #: The other parts, by compact digest.
    segments: Mapping[str, memoryview]
    #: The list segments, by name: their own bytes, and the digests that they list.
    lists: Mapping[str, tuple[bytes, Sequence[str]]]
    #: Compact digest -> whole SHA-256 (hexadecimal), of segments of at least `BLOB_BYTES`.
    whole_digests: Mapping[str, str]


def chunk_value(value: Value) -> ChunkedValue:
    """Divide a value. References to blobs come last in its layout, after a None, and contribute no bytes."""
    references = [None, *map(blob_reference, value.blob_digests)] if value.blob_digests else []
    if len(value.data) >= _INLINE_BYTES:
        chunker = _Chunker(value)
        literal, layout = _with_literal(b"".join(chunker.literals), [*chunker.entries, *references])
        return ChunkedValue(literal, layout, chunker.segments, chunker.lists, chunker.whole_digests)
    return ChunkedValue(*_with_literal(value.data, [len(value.data), *references]), {}, {}, {})


def _with_literal(literal: bytes, entries: list[str | int | None]) -> tuple[bytes, Layout | None]:
    """The literal bytes to store, compressed if that pays, and the layout; None for an uncompressed value without segments."""
    encoding, stored = compress(literal)
    if encoding != "raw":
        return bytes(stored), (-len(literal), *entries)
    return literal, None if entries == [len(literal)] else tuple(entries)


class _Chunker:
    """Divides one value."""

    def __init__(self, value: Value) -> None:
        self.literals: list[memoryview] = []
        self.entries: list[str | int] = []
        self.segments: dict[str, memoryview] = {}
        self.lists: dict[str, tuple[bytes, Sequence[str]]] = {}
        self.whole_digests: dict[str, str] = {}
        self._value = value.data
        self._data = memoryview(value.data)
        elements = _elements(value.data) if value.type == "msgpack" else []
        position = 0
        for run in _long_runs(elements):
            self._add_parts({position, run[0], *_between(value.leaf_offsets, position, run[0])})
            self._add_run(run, value.leaf_offsets)
            position = run[-1]
        rest = [end for end in elements if end >= position]
        self._add_parts({position, len(self._data), *_run_ends(rest), *_between(value.leaf_offsets, position, len(self._data))})

    def _add_parts(self, boundaries: Iterable[int]) -> None:
        for start, end in pairwise(sorted(boundaries)):
            if end - start >= _LITERAL_BYTES:
                self.entries.append(self._add_segment(start, end))
            else:
                self._add_literal(start, end)

    def _add_literal(self, start: int, end: int) -> None:
        self.literals.append(self._data[start:end])
        if self.entries and isinstance(self.entries[-1], int):
            self.entries[-1] += end - start
        else:
            self.entries.append(end - start)

    def _add_run(self, elements: Sequence[int], leaf_offsets: Sequence[int]) -> None:
        start, end = elements[0], elements[-1]
        leaves = _between(leaf_offsets, start, end)
        known = None if leaves else _known_runs.find(self._value, start, end)
        if known is not None:
            for digest, (first, last) in zip(known.digests, pairwise(known.boundaries), strict=True):
                self.segments[digest] = self._data[start + first : start + last]
            self._add_list(known.name, known.listing, known.digests)
            return
        boundaries = sorted({*_run_ends(elements), *leaves})
        if len(boundaries) <= _MIN_LIST_LENGTH:
            self._add_parts(boundaries)
            return
        digests = [self._add_segment(first, last) for first, last in pairwise(boundaries)]
        listing = json.dumps(digests, separators=(",", ":")).encode()
        name = list_digest(listing)
        self._add_list(name, listing, digests)
        if not leaves:
            _known_runs.add(self._value, boundaries, digests, listing, name)

    def _add_list(self, name: str, listing: bytes, digests: Sequence[str]) -> None:
        self.lists[name] = (listing, digests)
        self.entries.append(name)

    def _add_segment(self, start: int, end: int) -> str:
        part = self._data[start:end]
        if len(part) < BLOB_BYTES:
            digest = compact_digest_of(part)
        else:
            digest, self.whole_digests[digest] = both_digests_of(part)
        self.segments[digest] = part
        return digest


def _between(leaf_offsets: Iterable[int], start: int, end: int) -> list[int]:
    return [offset for offset in leaf_offsets if start < offset < end]


def join_segments(literal: bytes, layout: Layout | None, segments: Mapping[str, bytes]) -> bytes:
    """Join the parts of a value that `chunk_value` divided.

    Args:
        literal: see `ChunkedValue.literal`.
        layout: see `ChunkedValue.layout`.
        segments: by name, the segments in the layout, decompressed and checked.

    Raises:
        BlobMissing: a segment is missing.
        BlobCorrupt: the literal bytes can't be decompressed.
    """
    if layout is None:
        return literal
    if layout and isinstance(layout[0], int) and layout[0] < 0:
        literal = decompress("a value", -layout[0], "zstd-messages", literal)
        layout = layout[1:]
    parts: list[bytes] = []
    position = 0
    for entry in layout:
        if entry is None:
            break
        if isinstance(entry, int):
            parts.append(literal[position : position + entry])
            position += entry
        elif entry in segments:
            parts.append(segments[entry])
        else:
            raise BlobMissing(f"segment {entry} of a value is not in the database; restore ckpt_segment from a backup")
    # A value that is one segment is not copied, because it may be large.
    return parts[0] if len(parts) == 1 else b"".join(parts)


def layout_digests(layout: Layout | None) -> Iterable[str]:
    """The segments whose bytes a value is made of."""
    for entry in layout or ():
        if entry is None:
            return
        if isinstance(entry, str):
            yield entry


def layout_references(layout: Layout | None) -> list[str]:
    """The names of the blobs that a value only refers to."""
    entries = list(layout or ())
    return [entry for entry in entries[entries.index(None) :] if isinstance(entry, str)] if None in entries else []


def _long_runs(elements: Sequence[int]) -> Iterable[Sequence[int]]:
    """The long runs from the first element on, each as where its first element starts and where each one ends."""
    first = 0
    for end in _closed_runs(elements, _LONG_RUN_BYTES):
        last = bisect_left(elements, end)
        yield elements[first : last + 1]
        first = last


def _run_ends(elements: Sequence[int]) -> list[int]:
    """The ends of short runs of elements, given where the first one starts and where each one ends; what is left is one more."""
    if not elements:
        return []
    ends = [elements[0]]
    for size in _SHORT_RUN_BYTES:
        ends += _closed_runs(elements, size)
        elements = elements[bisect_left(elements, ends[-1]) :]
    return [*ends, elements[-1]]


def _closed_runs(elements: Sequence[int], size: int) -> list[int]:
    ends: list[int] = []
    start = elements[0] if elements else 0
    for previous, end in pairwise(elements):
        # An element as large as a run becomes a run of its own, so that no run exceeds twice its size.
        if end - previous >= size and previous > start:
            ends.append(previous)
            start = previous
        if end - start >= size:
            ends.append(end)
            start = end
    return ends


def _elements(data: bytes) -> list[int]:
    """Where the first element of a top-level array or map starts, and where each one ends; nothing for other values."""
    offset = _EXT_HEADERS.get(data[0], 0)
    first = data[offset]
    is_array = first & 0xF0 == 0x90 or first in (0xDC, 0xDD)
    is_map = first & 0xF0 == 0x80 or first in (0xDE, 0xDF)
    if not is_array and not is_map:
        return []
    unpacker = msgpack.Unpacker(max_buffer_size=len(data))
    try:
        unpacker.feed(memoryview(data)[offset:])
        count = unpacker.read_array_header() if is_array else unpacker.read_map_header()
        if count > _MAX_ELEMENTS:
            return []
        ends = [unpacker.tell()]
        for _ in range(count):
            unpacker.skip()
            if is_map:
                unpacker.skip()
            ends.append(unpacker.tell())
    except (msgpack.UnpackException, ValueError):
        # Another serialiser may call something else `msgpack`, or nest deeper than the reader supports: the value stays whole.
        return []
    return [offset + end for end in ends]
