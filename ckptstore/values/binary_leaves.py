"""Large binary leaves of values: found in the value, and then in its serialised bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ckptstore.values.chunking import BLOB_BYTES

Leaf = bytes | bytearray | memoryview

_HEAD_BYTES = 64
# How msgpack begins binary data of 64 KiB and more: this byte, and four of the length. Source: its specification, `bin 32`.
_BIN32 = b"\xc6"
_BIN32_HEAD = 5
# A leaf whose beginning occurs more often than this before it does (a file full of zeros) is not looked for any longer.
_MOST_CANDIDATES = 16
# Where some are not there, a serialiser has changed them: each of the others would cost a search of everything.
_MOST_MISSES = 4


def large_leaves_of(value: Any, type_: str, data: bytes) -> list[Leaf]:
    """The large binary leaves of a value that was serialised to these bytes."""
    if len(data) < BLOB_BYTES or isinstance(value, str) or (type_ == "msgpack" and not _may_hold_leaves(data)):
        return []
    return list(walk_large_leaves(value))


def _may_hold_leaves(data: bytes) -> bool:
    """Whether msgpack holds anything that looks like so many bytes: to walk through a value takes longer than to serialise it."""
    position = data.find(_BIN32)
    while position >= 0:
        start = position + _BIN32_HEAD
        length = int.from_bytes(data[position + 1 : start], "big")
        if BLOB_BYTES <= length <= len(data) - start:
            return True
        position = data.find(_BIN32, position + 1)
    return False


def walk_large_leaves(value: Any) -> Iterator[Leaf]:
    """The binary leaves of at least `BLOB_BYTES` in dicts, lists and tuples, in their order. A value may contain itself."""
    seen: set[int] = set()
    # What is still to be looked at, the next one last.
    rest = [value]
    while rest:
        part = rest.pop()
        if isinstance(part, (bytes, bytearray, memoryview)):
            if memoryview(part).nbytes >= BLOB_BYTES:
                yield part
        elif isinstance(part, (Mapping, list, tuple)) and id(part) not in seen:
            seen.add(id(part))
            rest.extend(reversed(list(part.values()) if isinstance(part, Mapping) else part))


def locate_leaves(leaves: Iterable[Leaf], data: bytes) -> list[int]:
    """Where leaves start and end in the bytes that they were serialised to; one that is not found there is left out."""
    leaf_offsets: list[int] = []
    position = misses = 0
    for leaf in leaves:
        plain = leaf if isinstance(leaf, (bytes, bytearray)) else bytes(leaf)
        start = _find(plain, data, position)
        if start is not None:
            position = start + len(plain)
            leaf_offsets += [start, position]
        elif (misses := misses + 1) == _MOST_MISSES:
            break
    return leaf_offsets


def _find(leaf: bytes | bytearray, data: bytes, position: int) -> int | None:
    # Its beginning first: searching for megabytes would build tables as large.
    head = bytes(leaf[:_HEAD_BYTES])
    for _ in range(_MOST_CANDIDATES):
        position = data.find(head, position)
        if position < 0:
            return None
        if data.startswith(leaf, position):
            return position
        position += 1
    return None
