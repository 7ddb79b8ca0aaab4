"""What ckptstore asks of a place for blobs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple, Protocol


class BlobEntry(NamedTuple):
    """One object in a backend."""

    key: str
    #: Bytes.
    size: int


class BlobBackend(Protocol):
    """Objects by key, written once and never changed. Keys are `ab/abcdef...`: relative, with `/` between parts.

    Every method is called on one event loop, many at a time, and raises `BlobUnavailable` where the backend fails: `transient`
    says whether a retry makes sense. A key that could name another place (absolute, empty or `..` parts) is refused with one
    that does not pass. An object is there whole or not at all, whatever happens during a `put`.
    """

    #: Where the objects are, without any secret: for messages.
    url: str

    async def put(self, key: str, data: bytes | memoryview) -> None:
        """Store an object; durable when this returns. One request where the backend counts requests."""
        ...

    async def put_file(self, key: str, path: Path) -> None:
        """Store a file's content, in memory that does not grow with it.

        Raises:
            OSError: there is no such file, or it can't be read; nothing was stored.
        """
        ...

    async def get(self, key: str) -> bytes:
        """An object's content.

        Raises:
            BlobMissing: there is none of this key; the message names the key and the URL.
        """
        ...

    async def get_file(self, key: str, path: Path) -> None:
        """Write an object's content to a file, in memory that does not grow with it; raises as `get`.

        What the file holds after a failure is not defined. An `OSError` says that the file itself can't be written.
        """
        ...

    async def size(self, key: str) -> int | None:
        """Bytes of an object, or None where there is none."""
        ...

    async def delete(self, key: str) -> None:
        """Delete an object; one that is not there counts as deleted."""
        ...

    def entries(self) -> AsyncIterator[BlobEntry]:
        """Every object, in any order; what is not an object (a file that is still being written) is left out.

        An object that appears or goes meanwhile may be listed or not.
        """
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
