"""Validate object keys: no key may name a path outside of the backend's folder."""

from __future__ import annotations

import re
import secrets

from ckptstore.errors import BlobUnavailable

# No part begins with a dot: that excludes `.`, `..` and temporary files.
_KEY = re.compile(r"[A-Za-z0-9_=+-][A-Za-z0-9._=+-]*(/[A-Za-z0-9_=+-][A-Za-z0-9._=+-]*)*")
_TEMPORARY = re.compile(r"\.[A-Za-z0-9_=+-][A-Za-z0-9._=+-]*\.[0-9a-f]{16}\.part")
_MAX_LENGTH = 512


def is_object_key(text: str) -> bool:
    """Whether `put` accepts this as a key."""
    return len(text) <= _MAX_LENGTH and _KEY.fullmatch(text) is not None


def check_key(key: str, url: str) -> None:
    """Refuse an invalid key before any backend sees it.

    Raises:
        BlobUnavailable: an absolute path, an empty part, a part that begins with a dot, or another character than letters,
            digits and `._=+-`. It is not transient.
    """
    if not is_object_key(key):
        raise BlobUnavailable(
            f"{key[:80]!r} is not a valid object key at {url}: parts of letters, digits and ._=+- that don't begin with a dot",
            transient=False,
        )


def temporary_name(name: str) -> str:
    """A unique name for the file that is written before it is renamed to `name`; it is never a valid key."""
    return f".{name}.{secrets.token_hex(8)}.part"


def is_temporary_name(name: str) -> bool:
    """Whether `temporary_name` makes such names."""
    return _TEMPORARY.fullmatch(name) is not None
