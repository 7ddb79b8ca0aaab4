"""Encoding a record of writing for the database: which parts of its values are kept in their row, become segments, or exist already.

Parts that go to blob storage are `ckptstore.blobs.upload`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from ckptstore.records import Layout, NewCheckpoint, NewSegment, Value, WriteRecord
from ckptstore.values.chunking import BLOB_BYTES, ChunkedValue, chunk_value, to_json
from ckptstore.values.compression import SMALL_BYTES, compress

#: Takes digests; returns those whose segments the record's thread is known to have.
KnownAmong = Callable[[Iterable[str]], set[str]]
#: Is given the digest and the content of each new segment that keeps its bytes in the database, for reads that follow.
Remember = Callable[[str, bytes], None]

#: From this size on, encoding takes some milliseconds and runs on a worker thread; below, the hop takes longer than the work.
LARGE_BYTES = 1024 * 1024


class StoredForm(NamedTuple):
    """How a value is kept in its row."""

    #: The bytes that stay in the row.
    value: bytes | None
    #: JSON of a `records.Layout`, or None where `value` is all of it.
    layout: str | None


class EncodedWrite(NamedTuple):
    """A record of writing, ready for a transaction."""

    record: WriteRecord
    #: For each of the record's values, in order.
    forms: Sequence[StoredForm]
    #: What has to be stored unless it exists.
    segments: Sequence[NewSegment]
    #: Digests of segments that the thread is known to have: the transaction checks that it does.
    known: Sequence[str]
    #: Bytes that go into the database.
    size: int
    #: Whether later writes to the thread must wait for the next batch: they may build on this one, which may turn out to miss something.
    blocks_thread: bool
    #: Whether it may meet an object in blob storage, or a row that refers to one.
    touches_objects: bool = False
    #: The fence of the lease under which it is written, which is stored only while the lease is held. None without a lease.
    fence: str | None = None

    @property
    def object_keys(self) -> dict[str, str]:
        """The objects that its segments refer to, by the segment's digest."""
        return {segment.digest: segment.object_key for segment in self.segments if segment.object_key is not None}


def values_of(record: WriteRecord) -> list[Value]:
    """The values of a record, in order."""
    if isinstance(record, NewCheckpoint):
        return [value for _, _, value in record.values]
    return [write.value for write in record.writes]


def encode_small(record: WriteRecord) -> EncodedWrite | None:
    """Encode a record whose values are all so small that they stay in their rows as they are; None for others."""
    size = len(record.body.data) + len(record.metadata) if isinstance(record, NewCheckpoint) else 0
    forms: list[StoredForm] = []
    for value in values_of(record):
        if len(value.data) >= SMALL_BYTES or value.blob_digests:
            return None
        size += len(value.data)
        forms.append(StoredForm(value.data or None, None))
    return EncodedWrite(record, forms, (), (), size, isinstance(record, NewCheckpoint))


def encode(record: WriteRecord, known_among: KnownAmong, chunked: Sequence[ChunkedValue], remember: Remember | None = None) -> EncodedWrite:
    """Encode a record that has nothing to do with blob storage.

    Args:
        record: what is to be written.
        known_among: tells which segments the record's thread is known to have.
        chunked: its values in chunks, in order.
        remember: see `row_segments`.
    """
    split = split_known(chunked, known_among)
    segments = row_segments(split.new, split.lists, remember) if split.new or split.lists else ()
    return assemble(record, chunked, segments, split.known)


def chunk_values(record: WriteRecord) -> list[ChunkedValue]:
    """Each value of a record in chunks, in order."""
    return [chunk_value(value) for value in values_of(record)]


def is_large(record: WriteRecord) -> bool:
    """Whether encoding a record takes so long that a worker thread does it."""
    return max([len(value.data) for value in values_of(record)], default=0) >= LARGE_BYTES


def needs_blob_storage(chunked: Iterable[ChunkedValue]) -> bool:
    """Whether values have a part that may go to blob storage, or a handle to one that is there."""
    # A loop here and below, no generator: every put pays for this.
    found = False
    for one in chunked:
        # References to blobs follow a None.
        found = found or bool(one.whole_digests) or (one.layout is not None and None in one.layout)
    return found


class SplitSegments(NamedTuple):
    """The segments of some values: those that the thread has, and the new ones."""

    #: Digests to check in the transaction; not those of segments that a known list names, which exist as long as the list does.
    known: Sequence[str]
    new: Mapping[str, memoryview]
    #: New segments that name segments.
    lists: Mapping[str, bytes]


def split_known(chunked: Iterable[ChunkedValue], known_among: KnownAmong) -> SplitSegments:
    """Split the segments of values into those that the thread is known to have and new ones, each once."""
    segments: dict[str, memoryview] = {}
    lists: dict[str, bytes] = {}
    known: set[str] = set()
    for one in chunked:
        if not one.lists:
            segments |= one.direct
            continue
        known_lists = known_among(one.lists)
        known |= known_lists
        for name, (listing, _) in one.lists.items():
            if name not in known_lists:
                lists[name] = listing
                segments |= one.segments_of(name)
        segments |= one.direct
    known_segments = known_among(segments) if segments else set()
    new = {digest: data for digest, data in segments.items() if digest not in known_segments}
    return SplitSegments(sorted(known | known_segments), new, lists)


def row_segments(new: Mapping[str, memoryview], lists: Mapping[str, bytes], remember: Remember | None = None) -> list[NewSegment]:
    """New segments that keep their bytes in the database.

    Args:
        new: segments, by digest.
        lists: list segments, by name.
        remember: is given each of them, but for large ones; None where nobody will read them soon.
    """
    segments = [NewSegment(digest, len(listing), "list", listing, None) for digest, listing in lists.items()]
    for digest, part in new.items():
        encoding, data = compress(part)
        segments.append(NewSegment(digest, len(part), encoding, bytes(data), None))
    if remember is not None:
        for digest, content in chain(lists.items(), new.items()):
            if len(content) < BLOB_BYTES:
                remember(digest, bytes(content))
    return segments


def assemble(record: WriteRecord, chunked: Sequence[ChunkedValue], segments: Sequence[NewSegment], known: Sequence[str]) -> EncodedWrite:
    """An encoded write from its parts."""
    forms = [StoredForm(one.literal or None, layout_json(one.layout)) for one in chunked]
    size = len(record.body.data) + len(record.metadata) if isinstance(record, NewCheckpoint) else 0
    in_blob_storage = may_meet_object = False
    for form in forms:
        size += len(form.value or b"")
    for segment in segments:
        size += len(segment.data or b"")
        in_blob_storage = in_blob_storage or segment.object_key is not None
        may_meet_object = may_meet_object or segment.size >= BLOB_BYTES
    blocks_thread = isinstance(record, NewCheckpoint) or bool(known) or in_blob_storage
    return EncodedWrite(record, forms, segments, known, size, blocks_thread, in_blob_storage or may_meet_object)


def layout_json(layout: Layout | None) -> str | None:
    return None if layout is None else to_json(layout)
