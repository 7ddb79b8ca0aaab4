"""Headers of msgpack's arrays, maps and extension types. Source: msgpack's specification."""

from __future__ import annotations

from typing import NamedTuple

_ARRAYS = (0x90, 0xDC, 0xDD)
_MAPS = (0x80, 0xDE, 0xDF)
# First byte of `ext 8`, `ext 16` and `ext 32`, and how many bytes hold the length.
_EXT_LENGTHS = {0xC7: 1, 0xC8: 2, 0xC9: 4}


class Header(NamedTuple):
    """The header of an array or a map."""

    #: How many elements, or pairs.
    length: int
    #: Where the first one begins.
    end: int


def array_header(count: int) -> bytes:
    """The header of an array of so many elements."""
    return _header(count, _ARRAYS)


def map_header(count: int) -> bytes:
    """The header of a map of so many pairs."""
    return _header(count, _MAPS)


def _header(count: int, codes: tuple[int, int, int]) -> bytes:
    short, medium, long = codes
    if count < 16:
        return bytes((short | count,))
    return bytes((medium,)) + count.to_bytes(2, "big") if count < 65_536 else bytes((long,)) + count.to_bytes(4, "big")


def read_array_header(data: bytes, start: int = 0) -> Header | None:
    """The header of the array that begins at an offset; None for another type."""
    return _read(data, start, _ARRAYS)


def read_map_header(data: bytes, start: int = 0) -> Header | None:
    """The header of the map that begins at an offset; None for another type."""
    return _read(data, start, _MAPS)


def _read(data: bytes, start: int, codes: tuple[int, int, int]) -> Header | None:
    first = data[start]
    short, medium, long = codes
    if first & 0xF0 == short:
        return Header(first & 0x0F, start + 1)
    if first not in (medium, long):
        return None
    end = start + (3 if first == medium else 5)
    return Header(int.from_bytes(data[start + 1 : end], "big"), end)


def split_extensions(data: bytes, start: int, count: int, ext_type: int) -> list[bytes] | None:
    """The elements of an array that are all of one extension type, each with its header; None if one is of another type.

    Args:
        data: holds the array.
        start: where its first element begins.
        count: how many it has.
        ext_type: the number of the extension type.
    """
    elements: list[bytes] = []
    for _ in range(count):
        length_bytes = _EXT_LENGTHS.get(data[start])
        if length_bytes is None:
            return None
        head = start + 1 + length_bytes
        end = head + 1 + int.from_bytes(data[start + 1 : head], "big")
        if data[head] != ext_type or end > len(data):
            return None
        elements.append(data[start:end])
        start = end
    return elements


def extension_payload(element: bytes) -> bytes:
    """What an element of `split_extensions` holds."""
    return element[_EXT_LENGTHS[element[0]] + 2 :]
