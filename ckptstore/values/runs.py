"""Divide the elements of a serialised list or map into runs, at boundaries that their content decides.

An element ends a run if a hash of it falls below a bound that is proportional to its size. So a list that loses its first elements, or gets
others in between, is soon divided as before. Source: content-defined chunking (Muthitacharoen et al., "A Low-bandwidth Network File
System", 2001), with elements instead of bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple
from zlib import adler32

import msgpack

#: The mean size of a long run, and of the short runs that it consists of; bytes.
LONG_RUN_BYTES = 28 * 1024
SHORT_RUN_BYTES = 2_560
#: The mean size of the pieces of the first and the last short run.
PIECE_BYTES = 512

# Finding the elements of a longer array takes longer than storing the array whole.
_MAX_ELEMENTS = 100_000
# Runs are longer than a part and shorter than a multiple of their mean size, whatever the hashes are: elements may be all the same.
_LEAST_PART = 4
_MOST_TIMES = 4

_HASH_BITS = 32
_HASH_MASK = (1 << _HASH_BITS) - 1
# Knuth's multiplicative hash: the high bits of an Adler-32 of few bytes are the same for all.
_SPREAD = 2_654_435_761

# Length of the header of a msgpack extension type (`ext 8`, `ext 16`, `ext 32`), by its first byte.
_EXT_HEADERS = {0xC7: 3, 0xC8: 4, 0xC9: 6}
# How much is handed to msgpack at a time: it copies it.
_FED_BYTES = 32 * 1024


class Run(NamedTuple):
    """Elements of a list or map that follow each other."""

    #: Where the first element starts, and where each one ends.
    ends: Sequence[int]
    #: The hash of each element.
    hashes: Sequence[int]
    #: Whether the content of the run alone decides where it ends; not so for the last run, which ends with the list.
    is_closed: bool

    @property
    def start(self) -> int:
        """Where the first element starts."""
        return self.ends[0]

    @property
    def end(self) -> int:
        """Where the last element ends."""
        return self.ends[-1]

    def part(self, start: int, end: int) -> Run:
        """The elements from one offset to another."""
        first, last = bisect_left(self.ends, start), bisect_left(self.ends, end)
        return Run(self.ends[first : last + 1], self.hashes[first:last], is_closed=True)

    def short_run_ends(self, size: int, *, is_first: bool = False) -> list[int]:
        """Where shorter runs of a mean size end; what follows the last one is not a whole run.

        Args:
            size: the mean size, in bytes; an element of this size is a run by itself.
            is_first: whether this is the beginning of a list, which may have been the middle of a run before the list lost its first
                elements. Then the first end is the one that any such run has.
        """
        ends: list[int] = []
        start = previous = self.start
        least, most = size // _LEAST_PART, size * _MOST_TIMES
        least_now = 0 if is_first else least
        for end, hash_ in zip(self.ends[1:], self.hashes, strict=True):
            length = end - previous
            if length >= size and previous > start:
                ends.append(previous)
                start, least_now = previous, least
            run_bytes = end - start
            if run_bytes >= most or length >= size or (run_bytes >= least_now and hash_ * size < length << _HASH_BITS):
                ends.append(end)
                start, least_now = end, least
            previous = end
        return ends


class ElementReader:
    """Reads the elements of a top-level msgpack array or map, run by run.

    Args:
        data: a serialised value. Of another type than an array or a map, it has no elements.

    Raises:
        ValueError, msgpack.UnpackException: from any method: it is not msgpack, or nested deeper than msgpack supports.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._view = memoryview(data)
        #: Where the next element starts.
        self.position = _EXT_HEADERS.get(data[0], 0)
        #: How many elements are left.
        self.remaining = 0
        self._start_at(self.position)
        self._skips = _skips_per_element(data[self.position])
        if self._skips:
            count = self._unpacker.read_array_header() if self._skips == 1 else self._unpacker.read_map_header()
            self.remaining = count if count <= _MAX_ELEMENTS else 0
            self.position = self._base + self._unpacker.tell()
        #: Where the next element ends, if it is known already.
        self._next_end: int | None = None

    def skip(self, end: int, count: int) -> None:
        """Skip so many elements, the last of which ends at an offset."""
        self.position = end
        self.remaining -= count
        self._next_end = None
        self._is_behind = True

    def read_run(self, start: int) -> Run:
        """Read the rest of the long run that starts at an offset.

        Args:
            start: where the run starts; the elements up to `position` are not part of the result.
        """
        if self._is_behind:
            self._start_at(self.position)
        view = self._view
        previous = self.position
        size, least, most = LONG_RUN_BYTES, LONG_RUN_BYTES // _LEAST_PART, LONG_RUN_BYTES * _MOST_TIMES
        ends, hashes, is_closed = [previous], [], False
        while self.remaining and not is_closed:
            end = self._next_end or self._end_of_next()
            length = end - previous
            if length >= size and previous > start:
                self._next_end = end
                break
            self._next_end = None
            self.remaining -= 1
            hash_ = adler32(view[previous:end]) * _SPREAD & _HASH_MASK
            ends.append(end)
            hashes.append(hash_)
            run_bytes = end - start
            is_closed = run_bytes >= most or length >= size or (run_bytes >= least and hash_ * size < length << _HASH_BITS)
            previous = end
        self.position = previous
        return Run(ends, hashes, is_closed)

    def _end_of_next(self) -> int:
        for _ in range(self._skips):
            while True:
                try:
                    self._unpacker.skip()
                    break
                except msgpack.OutOfData:
                    if self._fed >= len(self._data):
                        raise
                    self._feed()
        end: int = self._base + self._unpacker.tell()
        return end

    def _start_at(self, offset: int) -> None:
        # By default it would allocate a megabyte.
        self._unpacker = msgpack.Unpacker(read_size=_FED_BYTES, max_buffer_size=max(len(self._data), _FED_BYTES))
        self._fed = self._base = offset
        self._feed()
        self._is_behind = False

    def _feed(self) -> None:
        self._unpacker.feed(self._view[self._fed : self._fed + _FED_BYTES])
        self._fed += _FED_BYTES


def _skips_per_element(first: int) -> int:
    """How many values make up an element: one in an array, two in a map, none in another value; given its first byte."""
    if first & 0xF0 == 0x90 or first in (0xDC, 0xDD):
        return 1
    return 2 if first & 0xF0 == 0x80 or first in (0xDE, 0xDF) else 0
