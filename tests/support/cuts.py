"""Properties that every chunked value must have."""

from __future__ import annotations

import json
from itertools import accumulate, takewhile

from ckptstore.records import LoadedSegment, Value
from ckptstore.values.cache import MemoryCache
from ckptstore.values.chunking import ChunkedValue, chunk_value, layout_digests
from ckptstore.values.compression import compress
from ckptstore.values.decode import SegmentSet, StoredValue
from ckptstore.values.digests import blob_reference, compact_digest_of

LITERAL_BYTES = 64


LARGEST_RUN_BYTES = 32 * 1024


def flat(made: ChunkedValue, entry: str | int) -> list[str | int]:
    """The parts that an entry of a layout stands for: for a list segment, the segments that it names."""
    return list(made.lists[entry][1]) if isinstance(entry, str) and entry in made.lists else [entry]


def entries(made: ChunkedValue) -> list[str | int]:
    """The layout up to its references, without the size of a compressed literal."""
    named = [entry for entry in takewhile(lambda entry: entry is not None, made.layout or ()) if entry is not None]
    return named[1:] if named and isinstance(named[0], int) and named[0] < 0 else named


def literal_size(made: ChunkedValue) -> int:
    """Bytes of the literal before it was compressed."""
    first = made.layout[0] if made.layout else None
    return -first if isinstance(first, int) and first < 0 else len(made.literal)


def parts(made: ChunkedValue) -> list[tuple[str | int, int]]:
    """The parts of a value, each with the offset of its end."""
    named = [part for entry in entries(made) for part in flat(made, entry)]
    return list(zip(named, accumulate(part if isinstance(part, int) else len(made.segments[part]) for part in named), strict=True))


def boundaries(made: ChunkedValue) -> list[int]:
    return [end for _, end in parts(made)]


def reread(made: ChunkedValue) -> bytes:
    """The value after its segments were compressed, and assembled again as a reader does."""
    segments = SegmentSet(MemoryCache(0))
    for digest, part in made.segments.items():
        encoding, stored = compress(part)
        segments.add(LoadedSegment(digest, None, len(part), encoding, bytes(stored)))
    for digest, (listing, _) in made.lists.items():
        segments.add(LoadedSegment(digest, None, len(listing), "list", listing))
    segments.decompress()
    data = StoredValue("", made.literal, made.layout, segments).data
    if made.layout is not None:
        assert segments.fit(len(made.literal), made.layout, len(data))
        assert not segments.fit(len(made.literal), made.layout, len(data) - 1)
    return data


def check(value: Value) -> ChunkedValue:
    """Chunk a value, and assert what holds for every value."""
    made = chunk_value(value)
    assert reread(made) == value.data
    assert all(compact_digest_of(part) == digest for digest, part in made.segments.items())
    assert all(json.loads(listing) == list(names) for listing, names in made.lists.values())
    layout = list(made.layout or ())
    references = layout[layout.index(None) + 1 :] if None in layout else []
    assert references == [blob_reference(digest) for digest in value.blob_digests]
    if made.layout is not None:
        assert list(layout_digests(made.layout)) == [entry for entry in entries(made) if isinstance(entry, str)]
        assert sum(entry for entry in entries(made) if isinstance(entry, int)) == literal_size(made)
        assert {part for part, _ in parts(made) if isinstance(part, str)} == made.segments.keys()
        assert boundaries(made)[-1:] in ([len(value.data)], [])
    # A segment that the layout itself names is large enough for a row; parts of a list may be smaller, since a list has no literals.
    assert all(len(made.segments[entry]) >= LITERAL_BYTES for entry in entries(made) if isinstance(entry, str) and entry in made.segments)
    assert made.lists.keys().isdisjoint(made.segments)
    return made
