"""A wrapper around a backend that counts what is uploaded and downloaded, and how long that takes, with its retries."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ckptstore.blobs.backends.protocol import BlobBackend
from ckptstore.blobs.backends.wrappers import BackendWrapper
from ckptstore.monitoring.monitor import Monitor


class ObservedBackend(BackendWrapper):
    """Counts objects and their bytes.

    Args:
        inner: the wrapped backend.
        monitor: where they are counted.
    """

    def __init__(self, inner: BlobBackend, monitor: Monitor) -> None:
        super().__init__(inner)
        self._monitor = monitor

    async def put(self, key: str, data: bytes | memoryview) -> None:
        with self._monitor.upload.observed(attributes={"ckptstore.blob.key": key}):
            await self.inner.put(key, data)
        self._monitor.uploaded(len(data))

    async def put_file(self, key: str, path: Path) -> None:
        with self._monitor.upload.observed(attributes={"ckptstore.blob.key": key}):
            await self.inner.put_file(key, path)
        self._monitor.uploaded(await asyncio.to_thread(_size_of, path))

    async def get(self, key: str, max_bytes: int) -> bytes:
        with self._monitor.download.observed(attributes={"ckptstore.blob.key": key}):
            data = await self.inner.get(key, max_bytes)
        self._monitor.downloaded(len(data))
        return data

    async def get_file(self, key: str, path: Path, max_bytes: int) -> None:
        with self._monitor.download.observed(attributes={"ckptstore.blob.key": key}):
            await self.inner.get_file(key, path, max_bytes)
        self._monitor.downloaded(await asyncio.to_thread(_size_of, path))


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        # Deleted since: it is not worth an error.
        return 0
