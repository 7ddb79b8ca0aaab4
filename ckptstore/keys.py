"""Bytes -> digest -> object key: how content is named."""

from __future__ import annotations

import base64
import hashlib
import secrets
from pathlib import Path

#: Characters of a compact digest.
COMPACT_LENGTH = 43


def digest_of(data: bytes | memoryview) -> str:
    """The SHA-256 of some bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def hash_file(path: Path) -> tuple[str, int]:
    """Digest and size of a file's content, in memory that does not grow with it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


def compact_digest_of(data: bytes | memoryview) -> str:
    """The SHA-256 of some bytes in URL-safe base64: the form that rows hold many of."""
    return _compact(hashlib.sha256(data).digest())


def compact(digest: str) -> str:
    """The compact form of a hexadecimal digest."""
    return _compact(bytes.fromhex(digest))


def expanded(compact_digest: str) -> str:
    """The hexadecimal form of a compact digest."""
    return base64.urlsafe_b64decode(compact_digest + "=").hex()


def reference_to(digest: str) -> str:
    """What stands for a blob (hexadecimal digest) in the layout of a value that only refers to it: no segment's digest."""
    return f"@{compact(digest)}"


def _compact(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode()[:COMPACT_LENGTH]


def new_object_key(digest: str) -> str:
    """A key for one upload of content with this (hexadecimal) digest: it tells nothing of a thread, and no other upload gets it."""
    return f"{digest[:2]}/{digest}-{secrets.token_hex(8)}"
