"""Divide serialised values into segments, at boundaries that the next version of a value is likely to share.

The concatenation of the segments is exactly the value, wherever the boundaries are; they decide only how much of the next version
is stored already. There is a boundary before and after each large binary leaf, and between runs of elements of a top-level
msgpack array or map. The elements decide where a run ends (`ckptstore.values.runs`), so a list keeps the runs that it still has, whether it
grows, loses its first elements or both. A long run is stored as a list of short ones: a segment that names segments. The short runs at the
ends of a list, where the next version differs, are divided into pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from json import JSONEncoder
from typing import NamedTuple

import msgpack

from ckptstore.errors import BlobMissing
from ckptstore.records import Layout, Value
from ckptstore.values.compression import compress, decompress
from ckptstore.values.digests import blob_reference, both_digests_of, compact_digest_of, list_digest
from ckptstore.values.known_runs import MAX_BYTES, DividedRun, KnownRuns
from ckptstore.values.runs import PIECE_BYTES, SHORT_RUN_BYTES, ElementReader, Run

#: Segments and binary leaves of at least this size are stored in blob storage, if the saver has one.
BLOB_BYTES = 64 * 1024
# A smaller value is cheaper in its own row than as a segment.
_INLINE_BYTES = 512
# A smaller part is cheaper in the value's row than as a segment.
_LITERAL_BYTES = 64
# A list of fewer segments costs more than naming them in the layout.
_MIN_LIST_LENGTH = 3

#: A layout, or a list of segments, as JSON. Created once: `json.dumps` would create an encoder for each call.
to_json = JSONEncoder(separators=(",", ":")).encode

_known_runs = KnownRuns(MAX_BYTES)


class ChunkedValue(NamedTuple):
    """A value divided into segments."""

    #: The parts that are stored in the value's own row, concatenated, and perhaps compressed.
    literal: bytes
    #: How to join the parts, or None where `literal` is the whole value.
    layout: Layout | None
    #: The other parts that the layout names, by compact digest.
    direct: Mapping[str, memoryview]
    #: The list segments, by name: their own bytes, and the digests that they list.
    lists: Mapping[str, tuple[bytes, Sequence[str]]]
    #: Where the parts that a list names start and end: their bytes, and offsets in these.
    list_parts: Mapping[str, tuple[memoryview, Sequence[int]]]
    #: Compact digest -> whole SHA-256 (hexadecimal), of segments of at least `BLOB_BYTES`.
    whole_digests: Mapping[str, str]

    def segments_of(self, name: str) -> dict[str, memoryview]:
        """The parts that a list names, by compact digest."""
        data, offsets = self.list_parts[name]
        return {digest: data[start:end] for digest, (start, end) in zip(self.lists[name][1], pairwise(offsets), strict=True)}

    @property
    def segments(self) -> dict[str, memoryview]:
        """All parts that are not in the value's own row, by compact digest."""
        found = dict(self.direct)
        for name in self.lists:
            found |= self.segments_of(name)
        return found


def chunk_value(value: Value) -> ChunkedValue:
    """Divide a value. References to blobs come last in its layout, after a None, and contribute no bytes."""
    references = [None, *map(blob_reference, value.blob_digests)] if value.blob_digests else []
    if len(value.data) >= _INLINE_BYTES:
        chunker = _Chunker(value)
        literal, layout = _with_literal(b"".join(chunker.literals), [*chunker.entries, *references])
        return ChunkedValue(literal, layout, chunker.direct, chunker.lists, chunker.list_parts, chunker.whole_digests)
    return ChunkedValue(*_with_literal(value.data, [len(value.data), *references]), {}, {}, {}, {})


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
        self.direct: dict[str, memoryview] = {}
        self.list_parts: dict[str, tuple[memoryview, Sequence[int]]] = {}
        self.lists: dict[str, tuple[bytes, Sequence[str]]] = {}
        self.whole_digests: dict[str, str] = {}
        self._value = value.data
        self._data = memoryview(value.data)
        self._leaf_offsets = value.leaf_offsets
        position = 0
        for run in _long_runs(value):
            if position < run.start:
                self._add_parts({position, run.start, *self._leaves_between(position, run.start)})
            if run.known is not None and run.known.is_closed:
                self._add_list(run.known, run.start)
            else:
                self._add_long_run(run)
            position = run.rest.end
        self._add_parts({position, len(self._data), *self._leaves_between(position, len(self._data))})

    def _add_parts(self, boundaries: Iterable[int]) -> None:
        for start, end in pairwise(sorted(boundaries)):
            if end - start >= _LITERAL_BYTES:
                part = self._data[start:end]
                digest = self._digest(part)
                self.direct[digest] = part
                self.entries.append(digest)
            else:
                self._add_literal(start, end)

    def _add_literal(self, start: int, end: int) -> None:
        self.literals.append(self._data[start:end])
        if self.entries and isinstance(self.entries[-1], int):
            self.entries[-1] += end - start
        else:
            self.entries.append(end - start)

    def _add_long_run(self, run: _LongRun) -> None:
        """Add a long run as a list segment; where the next version of the value may differ, in pieces instead."""
        rest = run.rest
        start, end = rest.start, rest.end
        short_ends = rest.short_run_ends(SHORT_RUN_BYTES, is_first=run.is_new_head)
        head_end = self._add_head(rest, short_ends) if run.is_new_head else start
        whole = run.is_closed and not (run.is_new_head and not short_ends)
        tail_start = end if whole else [start, *short_ends][-1]
        if head_end < tail_start or run.known is not None:
            self._add_short_runs(run, rest.part(head_end, tail_start), short_ends)
        if tail_start < end:
            self._add_pieces(rest.part(tail_start, end), is_first=run.is_new_head and tail_start == start)

    def _add_head(self, run: Run, short_ends: Sequence[int]) -> int:
        """Add the first short run of a list in pieces, if the list may be one that loses its first elements; returns where it ends.

        Such a list may keep the very first element. If that is a run by itself, the second one is added in pieces too.
        """
        heads = [*pairwise([run.start, *short_ends])][:2]
        if heads and len(run.part(*heads[0]).hashes) > 1:
            heads = heads[:1]
        settled = [_known_runs.is_settled(compact_digest_of(self._data[start:end])) for start, end in heads]
        first = end = run.start
        if not all(settled):
            for (start, end), whole in zip(heads, settled, strict=True):
                self._add_pieces(run.part(start, end), is_first=start == first, whole=whole)
        return end

    def _add_short_runs(self, run: _LongRun, new: Run, short_ends: Sequence[int]) -> None:
        """Add the short runs of a long one: those that are known, and new ones."""
        start, end = new.start, new.end
        leaves = self._leaves_between(start, end)
        boundaries = sorted({start, *[each for each in short_ends if start < each < end], end, *leaves})
        known = run.known
        if known is None and len(boundaries) <= _MIN_LIST_LENGTH:
            self._add_parts(boundaries)
            return
        if known is None or start < end:
            known = self._divided(run, known, boundaries, len(new.hashes))
            if not leaves and start == run.rest.start:
                _known_runs.add(known)
        self._add_list(known, end - len(known.data))

    def _add_list(self, run: DividedRun, start: int) -> None:
        self.lists[run.name] = (run.listing, run.digests)
        self.list_parts[run.name] = (self._data[start:], run.boundaries)
        self.entries.append(run.name)

    def _divided(self, run: _LongRun, known: DividedRun | None, boundaries: Sequence[int], element_count: int) -> DividedRun:
        """A long run whose beginning is perhaps known, up to the last of the boundaries of what follows."""
        start = boundaries[0] if known is None else run.start
        offsets = [offset - start for offset in boundaries]
        digests = [self._digest(self._data[first:last]) for first, last in pairwise(boundaries)]
        if known is not None:
            offsets, digests = [*known.boundaries[:-1], *offsets], [*known.digests, *digests]
            element_count += known.element_count
        listing = to_json(digests).encode()
        is_closed = run.is_closed and boundaries[-1] == run.rest.end
        data = self._value[start : boundaries[-1]]
        return DividedRun(data, element_count, is_closed, offsets, digests, listing, list_digest(listing))

    def _add_pieces(self, run: Run, *, is_first: bool, whole: bool = False) -> None:
        """Add a short run, in pieces or whole."""
        start, end = run.start, run.end
        ends = [] if whole else run.short_run_ends(PIECE_BYTES, is_first=is_first)
        self._add_parts({start, *ends, end, *self._leaves_between(start, end)})

    def _leaves_between(self, start: int, end: int) -> list[int]:
        return [offset for offset in self._leaf_offsets if start < offset < end] if self._leaf_offsets else []

    def _digest(self, part: memoryview) -> str:
        if len(part) < BLOB_BYTES:
            return compact_digest_of(part)
        digest, self.whole_digests[digest] = both_digests_of(part)
        return digest


class _LongRun(NamedTuple):
    """A long run, of which the beginning or all may have been divided before."""

    start: int
    known: DividedRun | None
    #: What follows `known`.
    rest: Run
    #: Whether it is the first one of a list, and nothing is known of it.
    is_new_head: bool

    @property
    def is_closed(self) -> bool:
        return self.rest.is_closed


def _long_runs(value: Value) -> Sequence[_LongRun]:
    """The long runs of elements of a top-level array or map; nothing for another value."""
    runs: list[_LongRun] = []
    if value.type != "msgpack":
        return runs
    try:
        reader = ElementReader(value.data)
        while reader.remaining:
            start = reader.position
            known = _known_runs.find(value.data, start, reader.remaining)
            if known is not None and any(start < offset < start + len(known.data) for offset in value.leaf_offsets):
                known = None
            if known is not None:
                reader.skip(start + len(known.data), known.element_count)
            rest = Run([reader.position], [], is_closed=True) if known is not None and known.is_closed else reader.read_run(start)
            runs.append(_LongRun(start, known, rest, is_new_head=known is None and not runs))
    except (msgpack.UnpackException, ValueError):
        # Another serialiser may call something else `msgpack`, or nest deeper than the reader supports: the value stays whole.
        return []
    return runs


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
