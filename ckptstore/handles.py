"""Handles: the small values that stand for blobs in a graph's state."""

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
    """A handle to a blob: a graph keeps it in its state so that nodes load a file only when they need it.

    A blob is not garbage-collected while a stored state or a task's write holds its handle, or the handle's `id` within any text.
    Metadata does not count. One value holds at most 50,000 of them.

    Serialisers store an object under the name of its class: this one is `ckptstore.BlobRef`, wherever its code is. Values stored
    by earlier releases as `ckptstore.handles.BlobRef` load too, so this module keeps its name.

    Args:
        id: `ckptblob:` and the SHA-256 of the content in hexadecimal.
        size: the size of the content in bytes.
        media_type: the media type that the caller gave, for example `application/pdf`.
    """

    id: str
    size: int
    media_type: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the content, in hexadecimal."""
        return self.id.removeprefix(_PREFIX)


BlobRef.__module__ = "ckptstore"

#: The names under which serialised values hold a `BlobRef`, as (module, class): today's, and that of earlier releases.
BLOB_REF_NAMES = (("ckptstore", "BlobRef"), ("ckptstore.handles", "BlobRef"))


def handle_to(digest: str, size: int, media_type: str | None) -> BlobRef:
    """The handle of the blob with this SHA-256 (hexadecimal) and size in bytes."""
    return BlobRef(_PREFIX + digest, size, media_type)


def digest_of_handle(handle: Any) -> str:
    """The SHA-256 that a handle names: a `BlobRef`, its `id`, or the dict that a strict serialiser returns in place of one.

    Raises:
        InvalidConfig: `handle` is none of these.
    """
    id_ = handle.get("id") if isinstance(handle, Mapping) else getattr(handle, "id", handle)
    found = _HANDLE.fullmatch(id_.encode(errors="replace")) if isinstance(id_, str) else None
    if found is None:
        raise InvalidConfig(f"a handle to a blob is a BlobRef or its id, got {type(handle).__name__}")
    return found[1].decode()


def digests_in(data: bytes) -> list[str]:
    """The digests of all handles in serialised bytes, each once."""
    return list(dict.fromkeys(match.decode() for match in _HANDLE.findall(data))) if may_hold_digests(data) else []


def may_hold_digests(data: bytes) -> bool:
    """Whether serialised bytes can hold a handle. A plain search: much faster than the pattern, and it mostly finds nothing."""
    return _PREFIX_BYTES in data
