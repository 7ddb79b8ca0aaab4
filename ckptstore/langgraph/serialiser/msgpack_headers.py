"""Headers of msgpack's arrays, maps and extension types. Source: msgpack's specification."""

from __future__ import annotations

from typing import NamedTuple

import msgpack

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


def read_extensions(data: bytes, ext_type: int) -> list[bytes] | None:
    """What the elements of a serialised array hold, if they are all extensions of one type; None if one is something else.

    Raises:
        ValueError, msgpack.UnpackException: it is not msgpack, or more than an array.
    """

    def contained(code: int, payload: bytes) -> tuple[bytes]:
        if code != ext_type:
            raise ValueError("an extension of another type")
        # A tuple marks it: msgpack itself makes none.
        return (payload,)

    elements = msgpack.unpackb(data, ext_hook=contained, raw=True, strict_map_key=False)
    return [payload for (payload,) in elements] if set(map(type, elements)) == {tuple} else None


def extension(ext_type: int, payload: bytes) -> bytes:
    """An element of an array from which `read_extensions` reads the payload."""
    element: bytes = msgpack.packb(msgpack.ExtType(ext_type, payload))
    return element


def read_extension(data: bytes, ext_type: int) -> bytes | None:
    """What an extension of this type holds that has more than 16 bytes, and nothing after it; None for other data."""
    if not is_extension(data, 0, ext_type):
        return None
    start = 2 + _EXT_LENGTHS[data[0]]
    return data[start:] if start + int.from_bytes(data[1 : start - 1], "big") == len(data) else None


def is_extension(data: bytes, start: int, ext_type: int) -> bool:
    """Whether what begins at an offset is an extension of this type."""
    length_bytes = _EXT_LENGTHS.get(data[start]) if start < len(data) else None
    return length_bytes is not None and data[start + 1 + length_bytes : start + 2 + length_bytes] == bytes((ext_type,))
