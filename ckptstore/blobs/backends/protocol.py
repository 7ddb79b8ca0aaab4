"""The interface of a blob backend."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple, Protocol


class BlobEntry(NamedTuple):
    """One object in a backend."""

    key: str
    #: In bytes.
    size: int


class BlobBackend(Protocol):
    """Objects by key, written once and never changed. Keys are `ab/abcdef...`: relative, with `/` between parts.

    Every method is called on one event loop, many at a time, and raises `BlobUnavailable` where the backend fails: `transient`
    says whether a retry makes sense. A key that could name a path outside of the backend (absolute, empty or `..` parts) is refused
    with one that is not transient. An object exists whole or not at all, whatever happens during a `put`.
    """

    #: Where the objects are, without secrets, for messages.
    url: str

    async def put(self, key: str, data: bytes | memoryview) -> None:
        """Store an object; durable when this returns. One request where the backend counts requests."""
        ...

    async def put_file(self, key: str, path: Path) -> None:
        """Store a file's content; memory use does not depend on its size.

        Raises:
            OSError: the file does not exist or can't be read; nothing was stored.
        """
        ...

    async def get(self, key: str, max_bytes: int) -> bytes:
        """An object's content, which was registered with `max_bytes` or less: a longer one is not read into memory.

        Raises:
            BlobMissing: there is no such object; the message names the key and the URL.
            BlobCorrupt: it is longer, or no file (a device, a FIFO).
        """
        ...

    async def get_file(self, key: str, path: Path, max_bytes: int) -> None:
        """Write an object's content to a file, at most about `max_bytes`; memory use does not depend on them. Raises as `get`.

        After a failure the content of the file is undefined. An `OSError` means that the file itself can't be written.
        """
        ...

    async def size(self, key: str) -> int | None:
        """The size of an object in bytes; None if it does not exist."""
        ...

    async def delete(self, key: str) -> None:
        """Delete an object; one that does not exist counts as deleted."""
        ...

    def entries(self) -> AsyncIterator[BlobEntry]:
        """All objects, in any order, without files that are not objects (temporary files).

        An object that is created or deleted during the listing may or may not be listed.
        """
        ...

    async def delete_unfinished(self, min_age_seconds: float, *, dry_run: bool) -> int:
        """Delete what uploads of processes that were killed have left, and that is no object; never what is being written.

        Args:
            min_age_seconds: what was written to since is left alone.
            dry_run: delete nothing.

        Returns:
            How many files were deleted, or would be; 0 for a backend that leaves none, or that can't list them.
        """
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
