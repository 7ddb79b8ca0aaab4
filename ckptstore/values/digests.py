"""Digests of content, the names of segments, and the keys of objects in blob storage."""

from __future__ import annotations

import hashlib
import secrets
from binascii import b2a_base64
from pathlib import Path

# Layouts name dozens of segments, each unique only within its thread: 160 bits are enough for that, and take 27 characters, not 43.
_COMPACT_BYTES = 20
_COMPACT_LENGTH = 27
# What URL-safe base64 has in the place of base64's own characters.
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
# Prefixes of names; neither character occurs in base64.
_LIST_PREFIX = "+"
_REFERENCE_PREFIX = "@"


def digest_of(data: bytes | memoryview) -> str:
    """The SHA-256 of some bytes as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def hash_file(path: Path) -> tuple[str, int]:
    """The SHA-256 (hexadecimal) and size in bytes of a file; memory use does not depend on the size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


def compact_digest_of(data: bytes | memoryview) -> str:
    """The name of a segment in its thread: the first 160 bits of the SHA-256 of its bytes, in URL-safe base64."""
    # `_compact` written out: this runs for each segment of each put.
    digest = hashlib.sha256(data).digest()[:_COMPACT_BYTES]
    return b2a_base64(digest, newline=False).translate(_URL_SAFE).decode()[:_COMPACT_LENGTH]


def both_digests_of(data: bytes | memoryview) -> tuple[str, str]:
    """The compact digest and the whole SHA-256 (hexadecimal) of some bytes, hashed once."""
    digest = hashlib.sha256(data).digest()
    return _compact(digest), digest.hex()


def compact(digest: str) -> str:
    """The compact form of a hexadecimal digest."""
    return _compact(bytes.fromhex(digest))


def list_digest(listing: bytes) -> str:
    """The name of a list segment. It has a prefix, so that a value with the same bytes as the list has another name."""
    return _LIST_PREFIX + compact_digest_of(listing)


def is_list(name: str) -> bool:
    """Whether the name of a segment is that of a list segment."""
    return name.startswith(_LIST_PREFIX)


def matches_digest(name: str, data: bytes) -> bool:
    """Whether the name of a segment (or list segment) belongs to these bytes."""
    return name.removeprefix(_LIST_PREFIX) == compact_digest_of(data)


def blob_reference(digest: str) -> str:
    """The name of a blob (hexadecimal digest) in the layout of a value that only refers to it; no segment has such a name."""
    return _REFERENCE_PREFIX + compact(digest)


def is_reference(name: str) -> bool:
    """Whether a name in a layout is that of a blob that the value only refers to."""
    return name.startswith(_REFERENCE_PREFIX)


def _compact(digest: bytes) -> str:
    return b2a_base64(digest[:_COMPACT_BYTES], newline=False).translate(_URL_SAFE).decode()[:_COMPACT_LENGTH]


def new_object_key(digest: str, folder: str | None = None) -> str:
    """A key for one upload of content with this (hexadecimal) digest: it contains no thread id, and no other upload gets the same key.

    It is in one of 256 folders, by the digest, or in the given one.
    """
    return f"{folder or digest[:2]}/{digest}-{secrets.token_hex(8)}"
