"""Long runs of elements that were divided before: they are not read, divided and hashed again.

A run is known by its bytes, which are compared as a whole: that takes a twentieth of the time that hashing them takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ckptstore.values.generations import GenerationCache

#: Memory of a process.
MAX_BYTES = 16 * 1024 * 1024
# For the beginnings of lists.
_MAX_HEAD_BYTES = 1024 * 1024

_KEY_BYTES = 256
# Messages that begin alike may have the same length, and so the same bytes at any place near their beginning.
_SAMPLE_OFFSET, _SAMPLE_BYTES = 2_048, 64
# A conversation whose oldest messages are removed once a turn puts fewer values with the same beginning.
_SETTLED_AFTER = 8
# Appended to the key of a run that is not closed.
_BEGINNING = b" "
_SEGMENT_BYTES = 120
_ENTRY_BYTES = 500


class DividedRun(NamedTuple):
    """A long run, or the beginning of one, and the list segment that names its segments."""

    data: bytes
    #: How many elements it has.
    element_count: int
    #: Whether it is whole; else it is the beginning of one, up to the end of a short run.
    is_closed: bool
    #: Where segments start and end, from the start of the run.
    boundaries: Sequence[int]
    #: The digests of the segments.
    digests: Sequence[str]
    listing: bytes
    #: The digest of the list segment.
    name: str


def _size_of(key: bytes, run: DividedRun) -> int:
    return len(key) + len(run.data) + len(run.listing) + len(run.digests) * _SEGMENT_BYTES + _ENTRY_BYTES


class _Counter:
    """How many values had something."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


def _size_of_head(_key: bytes, _values: _Counter) -> int:
    return _ENTRY_BYTES // 2


def _key(data: bytes, start: int) -> bytes:
    sample = start + _SAMPLE_OFFSET
    return data[start : start + _KEY_BYTES] + data[sample : sample + _SAMPLE_BYTES]


class KnownRuns:
    """Remembers long runs, and beginnings of lists.

    Args:
        max_bytes: of memory, for long runs.
    """

    def __init__(self, max_bytes: int) -> None:
        self._known: GenerationCache[DividedRun] = GenerationCache(max_bytes, _size_of)
        self._heads: GenerationCache[_Counter] = GenerationCache(_MAX_HEAD_BYTES, _size_of_head)

    def find(self, data: bytes, start: int, max_count: int) -> DividedRun | None:
        """What is known of the run that begins at an offset of a value: the whole, or its beginning; it has at most so many elements."""
        key = _key(data, start)
        for run in self._known.get_all([key, key + _BEGINNING]):
            # `startswith` compares in place.
            if run is not None and run.element_count <= max_count and data.startswith(run.data, start):
                return run
        return None

    def add(self, run: DividedRun) -> None:
        """Remember a run, or a beginning instead of a shorter one."""
        key = _key(run.data, 0)
        if run.is_closed:
            self._known.add(key, run)
        else:
            self._known.add(key + _BEGINNING, run, replace=True)

    def is_settled(self, digest: str) -> bool:
        """Whether many values began with this run, so that the next one probably does too.

        A list that loses its first elements with every write begins with another run each time.

        Each call counts as one value.
        """
        key = digest.encode()
        [values] = self._heads.get_all([key])
        if values is None:
            values = _Counter()
            self._heads.add(key, values)
        values.count += 1
        return values.count > _SETTLED_AFTER
