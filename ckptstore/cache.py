"""A cache of blobs that were read: bounded, in memory, and optionally in a folder that outlives the process."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

from cachetools import LRUCache


class MemoryCache:
    """Blobs by digest, up to some bytes; what was used longest ago goes first.

    Args:
        max_bytes: bytes of all blobs together; a larger blob is not kept, and 0 keeps none.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._blobs: LRUCache[str, bytes] = LRUCache(max_bytes, getsizeof=len)

    def get(self, digest: str) -> bytes | None:
        """The blob, if it is here."""
        with self._lock:
            return self._blobs.get(digest)

    def put(self, digest: str, data: bytes) -> None:
        """Keep a blob whose bytes were checked."""
        if 0 < len(data) <= self._max_bytes:
            with self._lock:
                self._blobs[digest] = data


class FolderCache:
    """The same in a folder, which several processes may share. What it gives has to be checked again: files can be altered.

    Args:
        folder: made where it is not there.
        max_bytes: bytes of all files together.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._estimate: int | None = None

    def get(self, digest: str) -> bytes | None:
        """The bytes kept under a digest, unchecked."""
        path = self._folder / digest
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            # Not there, or gone in between; a cache that can't be read is no cache, and the backend has the blob.
            return None
        return data

    def put(self, digest: str, data: bytes) -> None:
        """Keep a blob, and make room for it. A folder that can't be written keeps nothing."""
        if len(data) > self._max_bytes:
            return
        beside = self._folder / f".{digest}.{secrets.token_hex(4)}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(data)
            beside.replace(self._folder / digest)
        except OSError:
            beside.unlink(missing_ok=True)
            return
        self._make_room(len(data))

    def drop(self, digest: str) -> None:
        """Forget a blob whose bytes turned out to be wrong."""
        (self._folder / digest).unlink(missing_ok=True)

    def _make_room(self, added: int) -> None:
        with self._lock:
            if self._estimate is not None and self._estimate + added <= self._max_bytes:
                self._estimate += added
                return
            # Only now is the folder looked through: other processes add to it and take from it too.
            files = sorted(self._files(), reverse=True)
            kept = 0
            for _, size, path in files:
                if kept + size > self._max_bytes:
                    path.unlink(missing_ok=True)
                else:
                    kept += size
            self._estimate = kept

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                try:
                    stat = entry.stat()
                except FileNotFoundError:
                    continue
                yield stat.st_mtime, stat.st_size, Path(entry.path)
