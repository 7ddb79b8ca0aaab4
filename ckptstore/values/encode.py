"""Units of writing with their values cut: what is stored in rows, what is there already, what an object holds."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from cachetools import LRUCache

from ckptstore.records import CheckpointKey, Layout, NewCheckpoint, NewSegment, NewWrites, Value
from ckptstore.runtime.fork import in_child
from ckptstore.values.chunking import BLOB_BYTES, ChunkedValue, chunk_value, layout_digests
from ckptstore.values.compression import SMALL_BYTES, compress

Unit = NewCheckpoint | NewWrites

Among = Callable[[Iterable[str]], set[str]]

# About 10 MB of names.
_KNOWN_SEGMENTS = 50_000
#: Some milliseconds of work. Below, the way to another thread and back takes longer than cutting.
LONG_BYTES = 1024 * 1024


class EncodedWrite(NamedTuple):
    """A unit that is ready for a transaction."""

    unit: Unit
    #: For each of the unit's values, in order: the bytes that stay in its row, and its layout as JSON.
    forms: Sequence[tuple[bytes | None, str | None]]
    #: What has to be stored, unless it is.
    segments: Sequence[NewSegment]
    #: Digests of segments that the thread has, as far as is known.
    known: Sequence[str]
    #: Bytes that go into the database.
    size: int

    @property
    def key(self) -> CheckpointKey:
        """The checkpoint that it is, or that its writes belong to."""
        return self.unit.key

    @property
    def is_checkpoint(self) -> bool:
        """Whether it is a checkpoint, not a task's writes."""
        return self.unit.is_checkpoint

    @property
    def blocks_thread(self) -> bool:
        """Whether what follows it in its thread waits: a later checkpoint may build on it, and it may itself miss something."""
        return self.is_checkpoint or bool(self.known or self.object_keys)

    @property
    def touches_objects(self) -> bool:
        """Whether it may meet an object, or a row that refers to one."""
        return any(segment.object_key is not None or segment.size >= BLOB_BYTES for segment in self.segments)

    @property
    def object_keys(self) -> list[str]:
        """The objects that its segments refer to."""
        return [segment.object_key for segment in self.segments if segment.object_key is not None]


def values_of(unit: Unit) -> list[Value]:
    """The values of a unit, in order."""
    if isinstance(unit, NewCheckpoint):
        return [value for _, _, value in unit.values]
    return [write.value for write in unit.writes]


def is_large(unit: Unit) -> bool:
    """Whether to cut a unit takes so long that the caller should not be kept: another thread does it."""
    return any(len(value.data) >= LONG_BYTES for value in values_of(unit))


def needs_objects(unit: Unit, cuts: Iterable[ChunkedValue]) -> bool:
    """Whether a unit has a part that may leave the row, or a handle to one that did."""
    return any(one.whole_digests for one in cuts) or any(value.blob_digests for value in values_of(unit))


def cuts_of(unit: Unit) -> list[ChunkedValue]:
    """The cut of each value of a unit, in order."""
    return [chunk_value(value) for value in values_of(unit)]


class Parted(NamedTuple):
    """The segments of some values: what the thread has, and what is new."""

    #: Digests to look for in the transaction. Not those of segments that a known list names: they stay as long as it does.
    known: Sequence[str]
    pieces: Mapping[str, memoryview]
    lists: Mapping[str, bytes]


def part_segments(cuts: Iterable[ChunkedValue], among: Among) -> Parted:
    """Part the segments of values into those that their thread has, as far as is known, and new ones, each once."""
    pieces: dict[str, memoryview] = {}
    lists: dict[str, bytes] = {}
    known: set[str] = set()
    for one in cuts:
        known_lists = among(one.lists)
        covered = {digest for name in known_lists for digest in one.lists[name][1]}.difference(layout_digests(one.layout))
        known |= known_lists
        lists |= {digest: listing for digest, (listing, _) in one.lists.items() if digest not in known_lists}
        pieces |= {digest: part for digest, part in one.segments.items() if digest not in covered}
    known_pieces = among(pieces)
    new = {digest: part for digest, part in pieces.items() if digest not in known_pieces}
    return Parted(sorted(known | known_pieces), new, lists)


def in_rows(pieces: Mapping[str, memoryview], lists: Mapping[str, bytes]) -> list[NewSegment]:
    """Segments that keep their bytes in the database."""
    segments = [NewSegment(digest, len(listing), "list", listing, None) for digest, listing in lists.items()]
    for digest, part in pieces.items():
        encoding, data = compress(part)
        segments.append(NewSegment(digest, len(part), encoding, bytes(data), None))
    return segments


def assemble(unit: Unit, cuts: Sequence[ChunkedValue], segments: Sequence[NewSegment], known: Sequence[str]) -> EncodedWrite:
    """A unit put together from its parts."""
    forms = [(one.literal or None, _as_json(one.layout)) for one in cuts]
    size = sum(len(literal or b"") for literal, _ in forms) + sum(len(segment.data or b"") for segment in segments)
    return EncodedWrite(unit, forms, segments, known, size)


def encode_small(unit: Unit) -> EncodedWrite | None:
    """Pack a unit whose values are so small that they stay as they are; None for others."""
    values = values_of(unit)
    size = 0
    for value in values:
        if len(value.data) >= SMALL_BYTES or value.blob_digests:
            return None
        size += len(value.data)
    return EncodedWrite(unit, [(value.data or None, None) for value in values], (), (), size)


def encode_write(unit: Unit, among: Among, cuts: Sequence[ChunkedValue] | None = None) -> EncodedWrite:
    """Pack a unit that has nothing to do with objects.

    Args:
        unit: what is to be written.
        among: of some digests, those of segments that the unit's thread has.
        cuts: of its values, in order; None where they are still to be cut.
    """
    if cuts is None:
        cuts = cuts_of(unit)
    known, pieces, lists = part_segments(cuts, among)
    return assemble(unit, cuts, in_rows(pieces, lists), known)


def _as_json(layout: Layout | None) -> str | None:
    return None if layout is None else json.dumps(layout, separators=(",", ":"))


class KnownSegments:
    """Which segments threads are known to have: a hint that saves sending them again, checked in every transaction."""

    def __init__(self) -> None:
        self._start()
        in_child(self._start)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._known: LRUCache[tuple[str, str], None] = LRUCache(_KNOWN_SEGMENTS)

    def among(self, thread_id: str, digests: Iterable[str]) -> set[str]:
        """Of some digests, those of segments that a thread has, as far as is known."""
        with self._lock:
            return {digest for digest in digests if (thread_id, digest) in self._known}

    def add(self, packed_unit: EncodedWrite) -> None:
        """A unit was stored: its thread has all of its segments."""
        if not packed_unit.known and not packed_unit.segments:
            return
        thread_id = packed_unit.key.thread_id
        with self._lock:
            for digest in (*packed_unit.known, *(segment.digest for segment in packed_unit.segments)):
                self._known[thread_id, digest] = None

    def forget(self, thread_id: str, digests: Iterable[str]) -> None:
        """Segments turned out to be missing."""
        with self._lock:
            for digest in digests:
                self._known.pop((thread_id, digest), None)

    def forget_everywhere(self, digest: str) -> None:
        """A segment is to be stored again in every thread that uses it."""
        with self._lock:
            for place in [place for place in self._known if place[1] == digest]:
                del self._known[place]
