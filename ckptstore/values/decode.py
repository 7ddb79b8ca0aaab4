"""Values on their way out: rows with layouts, and the segments that the layouts name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from ckptstore.records import Layout, LoadedCheckpoint, LoadedSegment, SerialisedValue
from ckptstore.values.cache import MemoryCache
from ckptstore.values.chunking import join_segments, layout_digests
from ckptstore.values.compression import decompress_segment

T = TypeVar("T")


class SegmentSet:
    """The segments of what is being read, by digest: content is the same whichever thread's it is."""

    def __init__(self, cache: MemoryCache) -> None:
        self._cache = cache
        #: Whole and checked.
        self.local: dict[str, bytes] = {}
        #: To be fetched.
        self.remote: dict[str, LoadedSegment] = {}
        #: What segments that name segments name.
        self.lists: dict[str, list[str]] = {}

    def add(self, segment: LoadedSegment) -> None:
        """Take a segment in; raises BlobCorrupt where its bytes are not what its digest says."""
        if segment.data is None:
            self.remote[segment.digest] = segment
        elif segment.encoding == "list":
            self.lists[segment.digest] = json.loads(decompress_segment(segment.digest, segment.size, segment.encoding, segment.data))
        else:
            self.local[segment.digest] = self._whole(segment, segment.data)

    def _whole(self, segment: LoadedSegment, data: bytes) -> bytes:
        # What the digest names was checked when it came in; to decompress and to hash it again takes longer than to read the row.
        whole = self._cache.get(segment.digest)
        if whole is None:
            whole = decompress_segment(segment.digest, segment.size, segment.encoding, data)
            self._cache.put(segment.digest, whole)
        return whole

    def remote_segments(self, values: Iterable[SerialisedValue]) -> list[LoadedSegment]:
        """The segments in objects that values are made of: not those that they only refer to."""
        if not self.remote:
            return []
        named = {digest for value in values if isinstance(value, StoredValue) for digest in value.digests}
        return [segment for digest, segment in self.remote.items() if digest in named]

    def release_remote(self) -> None:
        """Forget what was fetched from objects: the values that were made of it have gone their way."""
        for digest in self.remote:
            self.local.pop(digest, None)

    def expand(self, layout: Layout) -> Layout:
        """A layout with every list replaced by what it names."""
        if self.lists.keys().isdisjoint(layout):
            return layout
        return [part for entry in layout for part in (self.lists.get(entry, [entry]) if isinstance(entry, str) else [entry])]


# Not frozen: a listing makes thousands, and a frozen one takes four times as long to make.
@dataclass(slots=True)
class StoredValue:
    """A value whose parts are in `segments`, or will be once they were loaded and fetched."""

    type: str
    literal: bytes | None
    layout: Layout | None
    segments: SegmentSet

    @classmethod
    def from_row(cls, segments: SegmentSet, type_: str, literal: bytes | None, layout: str | None) -> StoredValue:
        """A value from its columns."""
        return cls(type_, literal, None if layout is None else json.loads(layout), segments)

    @property
    def data(self) -> bytes:
        """The serialised value, whole.

        Raises:
            BlobMissing: one of its segments is not there.
        """
        if self.layout is None:
            return self.literal or b""
        return join_segments(self.literal or b"", self.segments.expand(self.layout), self.segments.local)

    @property
    def digests(self) -> Iterable[str]:
        """The segments that it is made of, as far as they were loaded."""
        return layout_digests(self.segments.expand(self.layout or ()))


class Loaded(NamedTuple, Generic[T]):
    """What was read, and its values' segments: those in objects are yet to be fetched into `pieces.local`."""

    result: T
    segments: SegmentSet
    values: Sequence[SerialisedValue]


def group_by_remote_bytes(
    checkpoints: Iterable[LoadedCheckpoint], segments: SegmentSet, max_bytes: int
) -> Iterator[list[LoadedCheckpoint]]:
    """Checkpoints in their order, in groups that need no more than some bytes from objects; one that needs more is a group."""
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
