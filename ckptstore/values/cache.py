"""A cache of blobs that were read: bounded, in memory, and optionally in a folder that outlives the process."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cachetools import LRUCache

from ckptstore.runtime.fork import in_child

logger = logging.getLogger(__name__)

_SUFFIX = ".blob"


class MemoryCache:
    """Blobs by digest, up to some bytes; what was used longest ago goes first.

    Args:
        max_bytes: bytes of all blobs together; a larger blob is not kept, and 0 keeps none.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._start()
        in_child(self._start)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._blobs: LRUCache[str, bytes] = LRUCache(self._max_bytes, getsizeof=len)

    def get(self, digest: str) -> bytes | None:
        """The blob, if it is here."""
        with self._lock:
            return self._blobs.get(digest)

    def put(self, digest: str, data: bytes) -> None:
        """Keep a blob whose bytes were checked."""
        if 0 < len(data) <= self._max_bytes:
            with self._lock:
                # Or an older cachetools makes room for both.
                self._blobs.pop(digest, None)
                self._blobs[digest] = data


class FolderCache:
    """The same in a folder, which several processes may share. What it gives has to be checked again: files can be altered.

    Nothing that goes wrong in the folder is an error: the backend has every blob. Files that are not the cache's are left alone.

    Args:
        folder: made where it is not there.
        max_bytes: bytes of all files together.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._start()
        in_child(self._start)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._estimate: int | None = None

    def get(self, digest: str) -> bytes | None:
        """The bytes kept under a digest, unchecked."""
        path = self._path(digest)
        with suppress(OSError):
            data = path.read_bytes()
            os.utime(path)
            return data
        return None

    def put(self, digest: str, data: bytes) -> None:
        """Keep a blob, and make room for it."""
        if len(data) > self._max_bytes:
            return
        beside = self._folder / f".{digest}.{secrets.token_hex(4)}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(data)
            beside.replace(self._path(digest))
            self._make_room(len(data))
        except OSError as exc:
            logger.warning("the blob cache %s can't be written: %s", self._folder, exc.strerror, extra={"event": "cache_unwritable"})
            _unlink(beside)

    def drop(self, digest: str) -> None:
        """Forget a blob whose bytes turned out to be wrong."""
        _unlink(self._path(digest))

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}{_SUFFIX}"

    def _make_room(self, added: int) -> None:
        with self._lock:
            if self._estimate is not None and self._estimate + added <= self._max_bytes:
                self._estimate += added
                return
            # Only now is the folder looked through: other processes add to it and take from it too.
            kept = 0
            for _, size, path in sorted(self._files(), reverse=True):
                if kept + size > self._max_bytes:
                    _unlink(path)
                else:
                    kept += size
            self._estimate = kept

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if entry.name.endswith(_SUFFIX) and entry.is_file(follow_symlinks=False):
                        stat = entry.stat()
                        yield stat.st_mtime, stat.st_size, Path(entry.path)


def _unlink(path: Path) -> None:
    # Gone already, or not ours to delete any more: either way there is nothing left to do.
    with suppress(OSError):
        path.unlink()
