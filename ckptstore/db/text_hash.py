"""The hash of a text by which PostgreSQL and Citus say where its row is: `hashtext` of texts that compare as bytes.

Computed here, so that the writes of a batch can be put together by their shards without asking the server. The server checks each of them.

Source: `hash_bytes` of PostgreSQL's `src/common/hashfn.c`, which is Bob Jenkins's lookup3.
"""

from __future__ import annotations

from functools import lru_cache
from struct import unpack_from

_MASK = 0xFFFFFFFF
_START = 0x9E3779B9 + 3923095
_BLOCK = 12


@lru_cache(maxsize=16_384)
def text_hash(text: str) -> int:
    """The hash, from -2**31 on."""
    data = text.encode()
    a = b = c = (_START + len(data)) & _MASK
    end = len(data) - len(data) % _BLOCK
    for at in range(0, end, _BLOCK):
        x, y, z = unpack_from("<III", data, at)
        a, b, c = _mixed((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)
    rest = data[end:]
    a += int.from_bytes(rest[:4], "little")
    b += int.from_bytes(rest[4:8], "little")
    # The lowest byte of the last one belongs to the length.
    c += int.from_bytes(rest[8:], "little") << 8
    found = _last(a & _MASK, b & _MASK, c & _MASK)
    return found - (found >> 31 << 32)


def _rotated(value: int, by: int) -> int:
    return (value << by | value >> (32 - by)) & _MASK


def _mixed(a: int, b: int, c: int) -> tuple[int, int, int]:
    for by_a, by_b, by_c in ((4, 6, 8), (16, 19, 4)):
        a = (a - c & _MASK) ^ _rotated(c, by_a)
        c = c + b & _MASK
        b = (b - a & _MASK) ^ _rotated(a, by_b)
        a = a + c & _MASK
        c = (c - b & _MASK) ^ _rotated(b, by_c)
        b = b + a & _MASK
    return a, b, c


def _last(a: int, b: int, c: int) -> int:
    for by_c, by_a, by_b in ((14, 11, 25), (16, 4, 14)):
        c = (c ^ b) - _rotated(b, by_c) & _MASK
        a = (a ^ c) - _rotated(c, by_a) & _MASK
        b = (b ^ a) - _rotated(a, by_b) & _MASK
    return (c ^ b) - _rotated(b, 24) & _MASK
