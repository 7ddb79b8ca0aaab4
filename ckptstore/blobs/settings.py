"""Validated settings of a blob backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from ckptstore.errors import InvalidConfig, require_number
from ckptstore.values.size_limits import LeafRoom

_MEBIBYTE = 1024 * 1024
# S3 refuses smaller parts, except for the last one.
_SMALLEST_PART = 5 * _MEBIBYTE
# What a process does not know its thread to have is sent in one statement, of which PostgreSQL takes less than 1 GiB.
_TOGETHER = 8


@dataclass(frozen=True, slots=True)
class BlobSettings:
    """How a saver uses its blob backend.

    Args:
        max_parallel: the most operations that run at the same time.
        retry_seconds: how long transient faults (connection lost, throttling) are retried; 0 disables retries.
        part_bytes: files are uploaded to a remote backend in parts of this size, two at a time, which takes four times as much
            memory; at least 5 MiB (S3's rule). A file that would need more than 10,000 parts is uploaded in larger ones.
        recheck_seconds: a remote object that a write uses again is looked for (one HEAD request) if it was last seen longer ago than this;
            0 looks each time. A local file is looked at each time. What is not there is stored again.
        cache_bytes: the size of the memory cache of blobs that were read, and of smaller parts of values that were read or written: the
            next read of their thread need not fetch them. 0 disables it.
        cache_folder: a folder for a cache that outlives the process; None for no such cache.
        cache_folder_bytes: the size of that cache.
        database_bytes: the largest file of `saver.blobs` that a store without a blob backend keeps in its database, and the largest
            binary leaf or attachment of a state that does not count towards its limit there.
        options: passed to the fsspec file system unchanged; they override the URL and are never shown.
    """

    max_parallel: int = 8
    retry_seconds: float = 10.0
    part_bytes: int = 8 * _MEBIBYTE
    recheck_seconds: float = 60.0
    cache_bytes: int = 64 * _MEBIBYTE
    cache_folder: str | None = None
    cache_folder_bytes: int = 1024 * _MEBIBYTE
    database_bytes: int = 32 * _MEBIBYTE
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Validate the settings.

        Raises:
            InvalidConfig: a count below one, a negative time or size, or parts that S3 would refuse.
        """
        require_number("max_parallel", self.max_parallel, 1, whole=True)
        require_number("part_bytes", self.part_bytes, 0, whole=True)
        if self.part_bytes < _SMALLEST_PART:
            raise InvalidConfig(f"part_bytes must be at least {_SMALLEST_PART} (5 MiB), got {self.part_bytes!r}")
        for name in ("retry_seconds", "recheck_seconds", "cache_bytes", "cache_folder_bytes", "database_bytes"):
            require_number(name, getattr(self, name), 0)

    def leaf_room(self, *, has_backend: bool) -> LeafRoom:
        """Which large binary leaves of a value do not count towards its limit: all, or in the database those that it has room for."""
        return LeafRoom(inf, inf) if has_backend else LeafRoom(self.database_bytes, _TOGETHER * self.database_bytes)


#: The default, which is checked once a process.
DEFAULT_BLOB_SETTINGS = BlobSettings()
