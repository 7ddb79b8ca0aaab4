"""What may be a key: nothing that could name a place outside the backend's own folder."""

from __future__ import annotations

import re
import secrets

from ckptstore.errors import BlobUnavailable

# No part begins with a dot: that leaves out `.`, `..` and files that are still being written.
_KEY = re.compile(r"[A-Za-z0-9_=+-][A-Za-z0-9._=+-]*(/[A-Za-z0-9_=+-][A-Za-z0-9._=+-]*)*")
_LONGEST = 512


def is_object_key(text: str) -> bool:
    """Whether `put` would take this as a key."""
    return len(text) <= _LONGEST and _KEY.fullmatch(text) is not None


def check_key(key: str, url: str) -> None:
    """Refuse a hostile key before any backend sees it.

    Raises:
        BlobUnavailable: an absolute path, an empty part, a part that begins with a dot, or another character than letters,
            digits and `._=+-`. It does not pass.
    """
    if not is_object_key(key):
        raise BlobUnavailable(
            f"{key[:80]!r} is no key for an object at {url}: parts of letters, digits and ._=+-, not beginning with a dot", transient=False
        )


def temporary_name(name: str) -> str:
    """A name for the file that is written before it becomes `name`: no key has one like it, and nobody else picks the same."""
    return f".{name}.{secrets.token_hex(8)}.part"
