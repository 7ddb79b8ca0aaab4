"""Blobs in any other file system that fsspec supports."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

from ckptstore.blobs.backends.error_mapping import blob_missing, blob_too_long, is_missing_bucket, mapped_errors
from ckptstore.blobs.backends.fsspec_files import RemoteFiles
from ckptstore.blobs.backends.object_keys import check_key, is_object_key
from ckptstore.blobs.backends.protocol import BlobEntry
from ckptstore.blobs.backends.transfer_log import TooManyBytes, log_operation

logger = logging.getLogger(__name__)

_MIN_AGE_SECONDS = 60.0


class FsspecBackend:
    """Objects below one path of a file system.

    Args:
        url: the URL without secrets, for messages.
        root: the path in the file system's own form.
        connect: creates the file system on the event loop that will use it; called by the first operation.
    """

    def __init__(self, url: str, root: str, connect: Callable[[], Awaitable[RemoteFiles]]) -> None:
        self.url = url
        self._root = root.rstrip("/")
        self._connect = connect
        self._connecting = asyncio.Lock()
        self._files: RemoteFiles | None = None

    async def put(self, key: str, data: bytes | memoryview) -> None:
        path = self._path(key)
        with log_operation(logger, logging.INFO, "blob_put", key) as progress, mapped_errors(self.url, key):
            # botocore takes no memoryview.
            content = bytes(data)
            await (await self._connected()).put(path, content)
            progress.bytes = len(content)

    async def put_file(self, key: str, path: Path) -> None:
        where = self._path(key)
        size = await asyncio.to_thread(_readable_size, path)
        with log_operation(logger, logging.INFO, "blob_put", key) as progress, mapped_errors(self.url, key):
            await (await self._connected()).put_file(where, path, progress)
            # Not every file system reports progress.
            progress.bytes = size

    async def get(self, key: str, max_bytes: int) -> bytes:
        path = self._path(key)
        if max_bytes == 0:
            return await self._get_empty(key)
        with log_operation(logger, logging.DEBUG, "blob_get", key) as progress, self._read_errors(key, max_bytes):
            data = await (await self._connected()).get(path, max_bytes)
            progress.bytes = len(data)
        return data

    async def _get_empty(self, key: str) -> bytes:
        """An object that was stored empty. Most servers have no byte range of such a one."""
        size = await self.size(key)
        if size is None:
            raise blob_missing(key, self.url)
        if size:
            raise blob_too_long(key, self.url, 0)
        return b""

    async def get_file(self, key: str, path: Path, max_bytes: int) -> None:
        where = self._path(key)
        await asyncio.to_thread(_check_target, path)
        with log_operation(logger, logging.DEBUG, "blob_get", key) as progress, self._read_errors(key, max_bytes):
            progress.max_bytes = max_bytes
            await (await self._connected()).get_file(where, path, progress)
            # Not every file system reports progress.
            size = await asyncio.to_thread(os.path.getsize, path)
            progress.reached(size, size)

    async def size(self, key: str) -> int | None:
        path = self._path(key)
        with mapped_errors(self.url):
            try:
                found = await (await self._connected()).info(path)
            except FileNotFoundError as exc:
                if is_missing_bucket(exc):
                    raise
                return None
        return int(found["size"]) if found.get("type") == "file" else None

    async def delete(self, key: str) -> None:
        path = self._path(key)
        with log_operation(logger, logging.DEBUG, "blob_deleted", key), mapped_errors(self.url):
            try:
                await (await self._connected()).delete(path)
            except FileNotFoundError as exc:
                if is_missing_bucket(exc):
                    raise

    async def entries(self) -> AsyncIterator[BlobEntry]:
        with mapped_errors(self.url):
            try:
                async with aclosing(self._listed()) as listed:
                    async for entry in listed:
                        yield entry
            except FileNotFoundError as exc:
                if is_missing_bucket(exc):
                    raise

    async def _listed(self) -> AsyncGenerator[BlobEntry, None]:
        async for name, size in (await self._connected()).listing(self._root):
            key = name.removeprefix(self._root).lstrip("/")
            if is_object_key(key):
                yield BlobEntry(key, size)

    async def delete_unfinished(self, min_age_seconds: float, *, dry_run: bool) -> int:
        # What is being written was written to a moment ago.
        before = time.time() - max(min_age_seconds, _MIN_AGE_SECONDS)
        with mapped_errors(self.url):
            try:
                return await (await self._connected()).delete_unfinished(self._root, before, dry_run=dry_run)
            except FileNotFoundError as exc:
                if is_missing_bucket(exc):
                    raise
                return 0

    async def close(self) -> None:
        files, self._files = self._files, None
        if files is not None:
            with mapped_errors(self.url):
                await files.close()

    @contextmanager
    def _read_errors(self, key: str, max_bytes: int) -> Iterator[None]:
        with mapped_errors(self.url, key, reads=True):
            try:
                yield
            except TooManyBytes as exc:
                raise blob_too_long(key, self.url, max_bytes) from exc

    def _path(self, key: str) -> str:
        check_key(key, self.url)
        return f"{self._root}/{key}"

    async def _connected(self) -> RemoteFiles:
        if self._files is None:
            async with self._connecting:
                if self._files is None:
                    self._files = await self._connect()
        return self._files


def _readable_size(path: Path) -> int:
    # fsspec silently skips a folder, and its FileNotFoundError would be taken for one of the backend's.
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_size


def _check_target(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path.parent))
