"""Caches of blobs that were read: a bounded one in memory, and one in a folder that outlives the process."""

from __future__ import annotations

import logging
import os
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ckptstore.monitoring.counters import Counters
from ckptstore.runtime.fork import in_child
from ckptstore.runtime.private_files import make_private_folder, open_private
from ckptstore.runtime.regular_files import open_regular, read_at_most

logger = logging.getLogger(__name__)

_SUFFIX = ".blob"
_TEMPORARY = re.compile(r"\.[A-Za-z0-9_=+-]+\.[0-9a-f]{8}\.part")
# Writing one blob takes seconds; if it did not, the blob would only not be cached.
_ABANDONED_SECONDS = 24 * 3600.0


class MemoryCache:
    """Blobs by digest, up to a total size; the least recently used one is evicted first.

    Args:
        max_bytes: the total size in bytes; a larger blob is not cached, and 0 caches none.
        counters: where hits and misses are counted.
    """

    def __init__(self, max_bytes: int, counters: Counters | None = None) -> None:
        self._max_bytes = max_bytes
        self._counters = counters or Counters()
        self._start()
        in_child(self._start)

    def _start(self) -> None:
        self._blobs: OrderedDict[str, bytes] = OrderedDict()
        #: The total size. There is no lock (see `lru`): after an interrupt it may be wrong by a blob, until the cache is empty.
        self._estimate = 0

    def get(self, digest: str) -> bytes | None:
        """The blob, or None."""
        # Another thread may evict it at any time.
        try:
            self._blobs.move_to_end(digest)
            found = self._blobs[digest]
        except KeyError:
            self._counters.cache_misses += 1
            return None
        self._counters.cache_hits += 1
        return found

    def __contains__(self, digest: str) -> bool:
        """Whether it has a blob; does not count as a use."""
        return digest in self._blobs

    def put(self, digest: str, data: bytes) -> None:
        """Add a blob whose bytes were checked."""
        if 0 < len(data) <= self._max_bytes:
            added = len(data) - len(self._blobs.pop(digest, b""))
            self._blobs[digest] = data
            self._estimate += added
            if self._estimate > self._max_bytes:
                self._evict()

    def _evict(self) -> None:
        while self._estimate > self._max_bytes:
            try:
                _, data = self._blobs.popitem(last=False)
            except KeyError:
                self._estimate = 0
                return
            removed = len(data)
            self._estimate -= removed


class FolderCache:
    """Blobs by digest in a folder that several processes may share. Callers must check what they get, because files can be altered.

    Failures in the folder raise nothing, because the backend has every blob. Other files in the folder are never touched.

    Args:
        folder: created if it does not exist.
        max_bytes: the total size of the files in bytes.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._start()
        in_child(self._start)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._estimate: int | None = None

    def get(self, digest: str, size: int) -> bytes | None:
        """The cached bytes of a digest, unchecked; None if there are none, or more than `size`."""
        path = self._path(digest)
        with suppress(OSError):
            file = open_regular(path)
            if file is not None:
                with file:
                    data = read_at_most(file, size)
                os.utime(path)
                return data
        return None

    def put(self, digest: str, data: bytes) -> None:
        """Add a blob, and evict the least recently used ones."""
        if len(data) > self._max_bytes:
            return
        temporary = self._folder / f".{digest}.{secrets.token_hex(4)}.part"
        try:
            make_private_folder(self._folder)
            with open(temporary, "xb", opener=open_private) as file:
                file.write(data)
            temporary.replace(self._path(digest))
            self._evict(len(data))
        except OSError as exc:
            logger.warning("can't write to the blob cache %s: %s", self._folder, exc.strerror, extra={"event": "cache_write_failed"})
            _unlink(temporary)

    def remove(self, digest: str) -> None:
        """Remove a blob whose bytes turned out to be wrong."""
        _unlink(self._path(digest))

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}{_SUFFIX}"

    def _evict(self, added: int) -> None:
        with self._lock:
            if self._estimate is not None and self._estimate + added <= self._max_bytes:
                self._estimate += added
                return
            # The folder is read only now; other processes add and remove files too, so the sum is an estimate.
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
                    if not entry.is_file(follow_symlinks=False):
                        continue
                    stat = entry.stat()
                    if _TEMPORARY.fullmatch(entry.name) and stat.st_mtime < time.time() - _ABANDONED_SECONDS:
                        # The file of a process that was killed while it wrote.
                        _unlink(Path(entry.path))
                    elif entry.name.endswith(_SUFFIX):
                        yield stat.st_mtime, stat.st_size, Path(entry.path)


def _unlink(path: Path) -> None:
    # It may have been removed by another process, or may not be ours to delete: nothing more can be done.
    with suppress(OSError):
        path.unlink()
