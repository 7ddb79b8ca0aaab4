"""What a cut has to hold whatever was cut."""

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
    return StoredValue("", made.literal, None if made.layout is None else json.dumps(made.layout), pieces).data


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
    assert all(len(made.segments[entry]) >= LITERAL_BYTES for entry in entries(made) if isinstance(entry, str) and entry in made.segments)
    assert made.lists.keys().isdisjoint(made.segments)
    return made
