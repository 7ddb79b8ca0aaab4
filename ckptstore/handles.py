"""Handles: the tiny values that stand for blobs in a graph's state."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ckptstore.errors import InvalidConfig

_PREFIX = "ckptblob:"
_PREFIX_BYTES = _PREFIX.encode()
_HANDLE = re.compile(_PREFIX_BYTES + rb"([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class BlobRef:
    """A handle to a blob: what a graph keeps in its state when nodes should load a file only when they need it.

    A state or a task's write that holds it, or just its `id` in any text, keeps the blob from being collected; metadata does not.

    Args:
        id: `ckptblob:` and the SHA-256 of the content in hexadecimal.
        size: bytes of the content.
        media_type: what the caller said that it is, as `application/pdf`.
    """

    id: str
    size: int
    media_type: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the content, in hexadecimal."""
        return self.id.removeprefix(_PREFIX)


def handle_to(digest: str, size: int, media_type: str | None) -> BlobRef:
    """The handle to a blob."""
    return BlobRef(_PREFIX + digest, size, media_type)


def digest_of_handle(handle: Any) -> str:
    """The digest that a handle names: a `BlobRef`, its `id`, or the mapping that a strict serialiser makes of one.

    Raises:
        InvalidConfig: it is none of these.
    """
    id_ = handle.get("id") if isinstance(handle, Mapping) else getattr(handle, "id", handle)
    found = _HANDLE.fullmatch(id_.encode(errors="replace")) if isinstance(id_, str) else None
    if found is None:
        raise InvalidConfig(f"a handle to a blob is a BlobRef or its id, got {type(handle).__name__}")
    return found[1].decode()


def digests_in(data: bytes) -> list[str]:
    """The digests of all handles in some serialised bytes, each once."""
    return list(dict.fromkeys(match.decode() for match in _HANDLE.findall(data))) if may_hold_digests(data) else []


def may_hold_digests(data: bytes) -> bool:
    """Whether a look is worth while: the plain search is far quicker than the pattern, and mostly finds nothing."""
    return _PREFIX_BYTES in data
