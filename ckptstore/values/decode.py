"""Values that were read: rows with layouts, and the segments that the layouts name."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Generic, NamedTuple, TypeVar

from ckptstore.errors import BlobCorrupt
from ckptstore.records import Layout, LoadedCheckpoint, LoadedSegment, SerialisedValue
from ckptstore.values.cache import MemoryCache
from ckptstore.values.chunking import join_segments, layout_digests
from ckptstore.values.compression import decompress_segment
from ckptstore.values.digests import is_list, is_reference

T = TypeVar("T")


class SegmentSet:
    """The segments of one read, by digest: the same digest names the same content in every thread.

    Args:
        cache: decompressed segments of earlier reads.
        from_cache: whether all of them come from the cache, by `add_cached`.
    """

    def __init__(self, cache: MemoryCache, *, from_cache: bool = False) -> None:
        self._cache = cache
        self.from_cache = from_cache
        #: Decompressed and checked.
        self.local: dict[str, bytes] = {}
        #: Segments in blob storage; once fetched, their bytes are put into `local`.
        self.remote: dict[str, LoadedSegment] = {}
        #: The digests that list segments name.
        self.lists: dict[str, list[str]] = {}
        #: The size that each segment is registered with, but for lists; an impossible one is too large.
        self._sizes: dict[str, int] = {}
        self._compressed: list[LoadedSegment] = []
        #: Whether everything was in the cache; blobs that values only refer to do not count.
        self.all_cached = True

    def add_cached(self, layout: Layout) -> None:
        """Add the segments that a layout names and that are in the cache."""
        names = set(layout_digests(layout))
        for name, listing in self._find_cached(filter(is_list, names)):
            self.lists[name] = _listed(name, listing)
            names.discard(name)
            names.update(self.lists[name])
        found = self._find_cached(names)
        self.local |= found
        self._sizes |= [(digest, len(content)) for digest, content in found]
        self.all_cached &= names <= self.local.keys()

    def _find_cached(self, digests: Iterable[str]) -> list[tuple[str, bytes]]:
        get = self._cache.get
        return [(digest, content) for digest in digests if (content := get(digest)) is not None]

    def add(self, segment: LoadedSegment) -> None:
        """Add a segment. A list can be used at once, other segments after `decompress`.

        Raises:
            BlobCorrupt: the bytes of a list do not match its digest.
        """
        if segment.data is None:
            self.remote[segment.digest] = segment
            self.all_cached &= is_reference(segment.digest) or segment.digest in self._cache
        elif segment.encoding == "list":
            self.lists[segment.digest] = _listed(segment.digest, self._decompressed(segment, segment.data))
            return
        else:
            self._compressed.append(segment)
        # On SQLite a cell may have turned into another type.
        self._sizes[segment.digest] = segment.size if isinstance(segment.size, int) and segment.size >= 0 else sys.maxsize

    def decompress(self) -> None:
        """Decompress and check the segments that were added since, once the values that they belong to `fit`.

        Raises:
            BlobCorrupt: the bytes of one do not match its digest.
        """
        compressed, self._compressed = self._compressed, []
        for segment in compressed:
            assert segment.data is not None
            self.local[segment.digest] = self._decompressed(segment, segment.data)

    def fit(self, literal_bytes: int, layout: Layout, size: int) -> bool:
        """Whether the parts of a value can have this size together. Missing segments count as small enough.

        Args:
            literal_bytes: bytes in the value's own row.
            layout: of the value.
            size: the bytes that the value is registered with.
        """
        if layout and isinstance(layout[0], int) and layout[0] < 0:
            literal_bytes, layout = -layout[0], layout[1:]
        end = layout.index(None) if None in layout else len(layout)
        names = [entry for entry in layout[:end] if isinstance(entry, str)]
        counts = [entry for entry in layout[:end] if isinstance(entry, int) and entry >= 0]
        references = [entry for entry in layout[end + 1 :] if isinstance(entry, str)]
        if len(names) + len(counts) != end or len(references) != len(layout[end + 1 :]):
            return False
        return sum(counts) == literal_bytes and literal_bytes + sum(map(self.size_of, names)) <= size

    def size_of(self, name: str) -> int:
        """The bytes of a segment, or of all that a list names; a missing one has none."""
        return sum(map(self._sizes.get, self.lists[name], repeat(0))) if name in self.lists else self._sizes.get(name, 0)

    def _decompressed(self, segment: LoadedSegment, data: bytes) -> bytes:
        # The cached bytes were checked when they were added. Decompressing and hashing them again takes longer than reading the row.
        content = self._cache.get(segment.digest)
        if content is None:
            self.all_cached = False
            content = decompress_segment(segment.digest, segment.size, segment.encoding, data)
            self._cache.put(segment.digest, content)
        return content

    def remote_segments(self, values: Iterable[SerialisedValue]) -> list[LoadedSegment]:
        """The segments in blob storage that some values consist of, without the blobs that they only refer to."""
        if not self.remote:
            return []
        digests = {digest for value in values if isinstance(value, StoredValue) for digest in value.digests}
        return [segment for digest, segment in self.remote.items() if digest in digests]

    def release_remote(self) -> None:
        """Drop the bytes that were fetched from blob storage, once the values that they belong to were handed out."""
        for digest in self.remote:
            self.local.pop(digest, None)

    def expand(self, layout: Layout) -> Layout:
        """A layout in which every list segment is replaced by the digests that it names."""
        if self.lists.keys().isdisjoint(layout):
            return layout
        return [part for entry in layout for part in (self.lists.get(entry, [entry]) if isinstance(entry, str) else [entry])]


# Not frozen: a listing creates thousands, and a frozen dataclass takes four times as long to create.
@dataclass(slots=True)
class StoredValue:
    """A value as its row holds it; its bytes can be read once its segments are in `segments.local`."""

    type: str
    literal: bytes | None
    #: None where `literal` is the whole value.
    layout: Layout | None
    segments: SegmentSet

    @property
    def data(self) -> bytes:
        """The bytes of the whole serialised value.

        Raises:
            BlobMissing: one of its segments is missing.
        """
        if self.layout is None:
            return self.literal or b""
        return join_segments(self.literal or b"", self.segments.expand(self.layout), self.segments.local)

    @property
    def digests(self) -> Iterable[str]:
        """The digests of the segments that it consists of; those that a list names only if the list was loaded."""
        return () if self.layout is None else layout_digests(self.segments.expand(self.layout))


def _listed(name: str, listing: bytes) -> list[str]:
    """The digests that a list segment names."""
    digests = json.loads(listing)
    if not isinstance(digests, list) or not all(isinstance(digest, str) for digest in digests):
        raise BlobCorrupt(f"segment {name} is no list of digests")
    return digests


class Loaded(NamedTuple, Generic[T]):
    """The result of a read, and the segments of its values: those in blob storage have to be fetched into `segments.local`."""

    result: T
    segments: SegmentSet
    values: Sequence[SerialisedValue]


def group_by_remote_bytes(
    checkpoints: Iterable[LoadedCheckpoint], segments: SegmentSet, max_bytes: int
) -> Iterator[list[LoadedCheckpoint]]:
    """Divide checkpoints into groups, in their order, so that each group fetches at most `max_bytes` from blob storage.

    A checkpoint that needs more is a group by itself.
    """
    if not segments.remote:
        found = list(checkpoints)
        if found:
            yield found
        return
    group: list[LoadedCheckpoint] = []
    needed: dict[str, int] = {}
    for checkpoint in checkpoints:
        more = {segment.digest: segment.size for segment in segments.remote_segments(checkpoint.all_values)}
        if group and sum((needed | more).values()) > max_bytes:
            yield group
            group, needed = [], {}
        group.append(checkpoint)
        needed |= more
    if group:
        yield group
