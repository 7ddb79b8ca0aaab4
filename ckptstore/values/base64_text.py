"""Large texts in base64, as content blocks hold images and files: stored as the bytes that they stand for, and read as they were."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from ckptstore.errors import BlobCorrupt

#: Shorter texts are stored as they are.
LEAST_BYTES = 64 * 1024
#: What stands before the base64 of a `data:` URI.
DATA_URI = re.compile(rb"data:[\w.+/-]{0,100}(?:;[\w.+/=-]{1,100}){0,4};base64,", re.ASCII)

# `str 32` of msgpack: this byte, and four bytes of length. Then such a text begins with a `data:` URI, or with base64 at once.
_STR32 = re.compile(rb"\xdb(?=([\x00-\xff]{4})(?:data:|[A-Za-z0-9+/]{64}))")
_ANY_STR32 = re.compile(rb"\xdb(?=([\x00-\xff]{4}))")
_STR32_HEAD = 5
_BEGINNING = re.compile(rb"[A-Za-z0-9+/]{64}")


def may_hold_base64(data: bytes) -> bool:
    """Whether msgpack data has a text that is large enough and begins as one in base64 does."""
    return any(True for _ in _large_texts(data, _STR32))


def may_hold_text(data: bytes) -> bool:
    """Whether msgpack data has what looks like a large text."""
    return any(True for _ in _large_texts(data, _ANY_STR32))


def base64_offsets(data: bytes) -> list[int]:
    """Where the large base64 texts of msgpack data start and end, without what makes them a `data:` URI: start, end, start, end, ..."""
    offsets: list[int] = []
    for start, end in _large_texts(data, _STR32):
        uri = DATA_URI.match(data, start, end)
        beginning = uri.end() if uri else start
        if decoded(memoryview(data)[beginning:end]) is not None:
            offsets += [beginning, end]
    return offsets


def _large_texts(data: bytes, head: re.Pattern[bytes]) -> Iterator[tuple[int, int]]:
    end = 0
    for found in head.finditer(data):
        start, length = found.start() + _STR32_HEAD, int.from_bytes(found[1], "big")
        # Not within another one, whose bytes may look like the head of a text.
        if start >= end and LEAST_BYTES <= length <= len(data) - start:
            end = start + length
            yield start, end


def decoded(text: bytes | memoryview) -> bytes | None:
    """The bytes whose base64 is this text, to the last character; None if it is no such text, or a short one."""
    if len(text) < LEAST_BYTES or len(text) % 4 or not _BEGINNING.match(text):
        return None
    try:
        content = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return None
    # The bits after the last byte may differ from those that an encoder writes.
    return content if encoded(content) == text else None


def encoded(content: bytes) -> bytes:
    """The base64 of some bytes."""
    return binascii.b2a_base64(content, newline=False)


def restored(name: str, size: int, content: bytes) -> bytes:
    """The text of a known size that was stored as the bytes for which it stands.

    Raises:
        BlobCorrupt: they stand for a text of another size; the message starts with `name`.
    """
    if 4 * ((len(content) + 2) // 3) != size:
        raise BlobCorrupt(f"{name}: its {len(content)} bytes are not those of {size} characters in base64")
    return encoded(content)
