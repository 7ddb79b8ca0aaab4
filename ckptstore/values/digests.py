"""Bytes -> digest -> object key: how content is named."""

from __future__ import annotations

import base64
import hashlib
import secrets
from pathlib import Path

# Layouts name segments by the dozen, and only within a thread: 160 bits are plenty there, and take 27 characters, not 43.
_COMPACT_BYTES = 20
_COMPACT_LENGTH = 27
# Neither occurs in base64.
_LIST_MARK = "+"
_REFERENCE_MARK = "@"


def digest_of(data: bytes | memoryview) -> str:
    """The SHA-256 of some bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def hash_file(path: Path) -> tuple[str, int]:
    """Digest and size of a file's content, in memory that does not grow with it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


def compact_digest_of(data: bytes | memoryview) -> str:
    """The first 160 bits of the SHA-256 of some bytes, in URL-safe base64: what names a segment in its thread."""
    return _compact(hashlib.sha256(data).digest())


def both_digests_of(data: bytes | memoryview) -> tuple[str, str]:
    """The compact digest of some bytes and the whole one (hexadecimal), for large data that is to be read once."""
    digest = hashlib.sha256(data).digest()
    return _compact(digest), digest.hex()


def compact(digest: str) -> str:
    """The compact form of a hexadecimal digest."""
    return _compact(bytes.fromhex(digest))


def list_digest(listing: bytes) -> str:
    """What names a segment that names segments: no digest, or a value with the same bytes would be taken for it."""
    return _LIST_MARK + compact_digest_of(listing)


def matches_digest(name: str, data: bytes) -> bool:
    """Whether a segment's name is right for its bytes."""
    return name.removeprefix(_LIST_MARK) == compact_digest_of(data)


def blob_reference(digest: str) -> str:
    """What stands for a blob (hexadecimal digest) in the layout of a value that only refers to it: no segment's digest."""
    return _REFERENCE_MARK + compact(digest)


def _compact(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest[:_COMPACT_BYTES]).decode()[:_COMPACT_LENGTH]


def new_object_key(digest: str) -> str:
    """A key for one upload of content with this (hexadecimal) digest: it tells nothing of a thread, and no other upload gets it."""
    return f"{digest[:2]}/{digest}-{secrets.token_hex(8)}"
