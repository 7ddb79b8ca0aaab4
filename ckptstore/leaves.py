"""Large binary leaves of values: found in the value, and then in its serialised bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ckptstore.segments import BLOB_BYTES

_HEAD_BYTES = 64
# A leaf whose beginning occurs more often than this before it does (a file full of zeros) is not looked for any longer.
_MOST_CANDIDATES = 16


def large_leaves(value: Any) -> Iterator[bytes | bytearray | memoryview]:
    """The binary leaves of at least `BLOB_BYTES` in dicts, lists and tuples, in their order."""
    if isinstance(value, (bytes, bytearray)):
        if len(value) >= BLOB_BYTES:
            yield value
    elif isinstance(value, memoryview):
        if value.nbytes >= BLOB_BYTES:
            yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from large_leaves(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from large_leaves(inner)


def cuts_round(leaves: Iterable[bytes | bytearray | memoryview], data: bytes) -> list[int]:
    """Where leaves start and end in the bytes that they were serialised to; one that is not found there is left out."""
    cuts: list[int] = []
    position = 0
    for leaf in leaves:
        plain = leaf if isinstance(leaf, (bytes, bytearray)) else bytes(leaf)
        start = _find(plain, data, position)
        if start is not None:
            position = start + len(plain)
            cuts += [start, position]
    return cuts


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
