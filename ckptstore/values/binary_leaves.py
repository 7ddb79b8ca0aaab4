"""Find the large binary leaves of a value, and their offsets in its serialised bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ckptstore.values.chunking import BLOB_BYTES

Leaf = bytes | bytearray | memoryview

_HEAD_BYTES = 64
# Binary data of 64 KiB or more begins in msgpack with this byte and four bytes of length. Source: its specification, `bin 32`.
_BIN32 = b"\xc6"
_BIN32_HEAD = 5
# A leaf is given up when its first bytes occur this often before it (as in a file full of zeros).
_MAX_CANDIDATES = 16
# After this many leaves that were not found, the serialiser evidently changed them, and searching for each of the others would
# read all of the data.
_MAX_MISSES = 4


def large_leaves_of(value: Any, type_: str, data: bytes) -> list[Leaf]:
    """The large binary leaves of a value that was serialised to these bytes."""
    if len(data) < BLOB_BYTES or isinstance(value, str) or (type_ == "msgpack" and not _may_hold_leaves(data)):
        return []
    return list(walk_large_leaves(value))


def _may_hold_leaves(data: bytes) -> bool:
    """Whether msgpack data contains something that looks like a large leaf: walking through a value takes longer than serialising it."""
    position = data.find(_BIN32)
    while position >= 0:
        start = position + _BIN32_HEAD
        length = int.from_bytes(data[position + 1 : start], "big")
        if BLOB_BYTES <= length <= len(data) - start:
            return True
        position = data.find(_BIN32, position + 1)
    return False


def bin32_offsets(data: bytes) -> list[int]:
    """Where the large binary leaves of msgpack data start and end, as far as it can be told without reading all of it.

    Other bytes may look like the head of a leaf: a boundary more, which is right everywhere.
    """
    offsets: list[int] = []
    position = data.find(_BIN32) if len(data) >= BLOB_BYTES else -1
    while position >= 0:
        start = position + _BIN32_HEAD
        length = int.from_bytes(data[position + 1 : start], "big")
        if BLOB_BYTES <= length <= len(data) - start:
            offsets += [start, start + length]
            position = data.find(_BIN32, start + length)
        else:
            position = data.find(_BIN32, position + 1)
    return offsets


def walk_large_leaves(value: Any) -> Iterator[Leaf]:
    """The binary leaves of at least `BLOB_BYTES` in nested dicts, lists and tuples, in order. A value may contain itself."""
    seen: set[int] = set()
    # A stack: the next part is the last one.
    remaining = [value]
    while remaining:
        part = remaining.pop()
        if isinstance(part, (bytes, bytearray, memoryview)):
            if memoryview(part).nbytes >= BLOB_BYTES:
                yield part
        elif isinstance(part, (Mapping, list, tuple)) and id(part) not in seen:
            seen.add(id(part))
            remaining.extend(reversed(list(part.values()) if isinstance(part, Mapping) else part))


def locate_leaves(leaves: Iterable[Leaf], data: bytes) -> list[int]:
    """Where leaves start and end in the serialised bytes: start, end, start, end, ... A leaf that is not found is left out."""
    leaf_offsets: list[int] = []
    position = misses = 0
    for leaf in leaves:
        plain = leaf if isinstance(leaf, (bytes, bytearray)) else bytes(leaf)
        start = _find(plain, data, position)
        if start is not None:
            position = start + len(plain)
            leaf_offsets += [start, position]
        elif (misses := misses + 1) == _MAX_MISSES:
            break
    return leaf_offsets


def _find(leaf: bytes | bytearray, data: bytes, position: int) -> int | None:
    # Search for the first bytes only: a search for megabytes would build tables of that size.
    head = bytes(leaf[:_HEAD_BYTES])
    for _ in range(_MAX_CANDIDATES):
        position = data.find(head, position)
        if position < 0:
            return None
        if data.startswith(leaf, position):
            return position
        position += 1
    return None
