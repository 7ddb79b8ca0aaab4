"""Long runs of elements that were divided before: their segments are not hashed again.

A run is known by its bytes, which are compared as a whole: that takes a twentieth of the time that hashing them takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ckptstore.values.generations import GenerationCache

#: Memory of a process.
MAX_BYTES = 16 * 1024 * 1024

_KEY_BYTES = 256
_SEGMENT_BYTES = 120
_ENTRY_BYTES = 500


class DividedRun(NamedTuple):
    """A long run, and the list segment that names its segments."""

    data: bytes
    #: Where segments start and end, from the start of the run.
    boundaries: Sequence[int]
    #: Of the segments.
    digests: Sequence[str]
    listing: bytes
    #: Of the list segment.
    name: str


def _size_of(key: bytes, run: DividedRun) -> int:
    return len(run.data) + len(run.listing) + len(run.digests) * _SEGMENT_BYTES + _ENTRY_BYTES


def _key(data: bytes, start: int, end: int) -> bytes:
    # Few runs share their first bytes, their last ones (messages have their ids there) and their length; of those that do, one is known.
    return b"%d %b %b" % (end - start, data[start : start + _KEY_BYTES], data[end - _KEY_BYTES : end])


class KnownRuns:
    """Remembers long runs.

    Args:
        max_bytes: of memory.
    """

    def __init__(self, max_bytes: int) -> None:
        self._known: GenerationCache[DividedRun] = GenerationCache(max_bytes, _size_of)

    def find(self, data: bytes, start: int, end: int) -> DividedRun | None:
        """The run that some bytes of a value are, if it was divided before."""
        [run] = self._known.get_all([_key(data, start, end)])
        # `startswith` compares in place.
        return run if run is not None and len(run.data) == end - start and data.startswith(run.data, start) else None

    def add(self, data: bytes, boundaries: Sequence[int], digests: Sequence[str], listing: bytes, name: str) -> None:
        """Remember a run of a value, whose boundaries count from the value's start."""
        start, end = boundaries[0], boundaries[-1]
        run = DividedRun(data[start:end], [offset - start for offset in boundaries], digests, listing, name)
        self._known.add(_key(data, start, end), run)
