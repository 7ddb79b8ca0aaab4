"""One interface to the kinds of fsspec file system: a few operations on full paths, which raise fsspec's errors."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from ckptstore.blobs.backends.object_keys import is_temporary_name, temporary_name
from ckptstore.blobs.backends.protocol import BlobEntry
from ckptstore.blobs.backends.transfer_log import TooManyBytes, TransferProgress


class RemoteFiles(Protocol):
    """A connected file system. Everything runs on one event loop; names in listings are in the file system's own form."""

    async def put(self, path: str, data: bytes) -> None: ...

    async def put_file(self, path: str, source: Path, progress: TransferProgress) -> None: ...

    async def get(self, path: str, max_bytes: int) -> bytes:
        """The content; raises `TooManyBytes` if it has more bytes, without reading many more."""
        ...

    async def get_file(self, path: str, target: Path, progress: TransferProgress) -> None: ...

    async def info(self, path: str) -> dict[str, Any]: ...

    async def delete(self, path: str) -> None: ...

    def listing(self, root: str) -> AsyncIterator[BlobEntry]: ...

    async def delete_unfinished(self, root: str, before: float, *, dry_run: bool) -> int:
        """Delete what unfinished uploads below a path have left since before a time (seconds since 1970, UTC); returns how many."""
        ...

    async def close(self) -> None: ...


class AsyncFiles:
    """An asynchronous file system, which belongs to the running loop. These are object stores: an object appears whole or not at all."""

    def __init__(self, fs: Any) -> None:
        self._fs = fs

    async def put(self, path: str, data: bytes) -> None:
        await self._fs._pipe_file(path, data)

    async def put_file(self, path: str, source: Path, progress: TransferProgress) -> None:
        await self._fs._put_file(str(source), path, callback=callback_of(progress))

    async def get(self, path: str, max_bytes: int) -> bytes:
        data: bytes = await self._fs._cat_file(path, start=0, end=max_bytes + 1)
        if len(data) > max_bytes:
            raise TooManyBytes
        return data

    async def get_file(self, path: str, target: Path, progress: TransferProgress) -> None:
        await self._fs._get_file(path, str(target), callback=callback_of(progress))

    async def info(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = await self._fs._info(path)
        return found

    async def delete(self, path: str) -> None:
        await self._fs._rm_file(path)

    async def listing(self, root: str) -> AsyncIterator[BlobEntry]:
        for entry in entries_of(await self._fs._find(root, detail=True)):
            yield entry

    async def delete_unfinished(self, root: str, before: float, *, dry_run: bool) -> int:
        # Nothing tells what is left of an upload; servers have rules by which they end them.
        return 0

    async def close(self) -> None:
        """Most file systems close with their last reference."""


class AzureFiles(AsyncFiles):
    """Azure's blob storage: adlfs keeps a reference until Python exits, and connections with it."""

    async def close(self) -> None:
        await self._fs.service_client.close()


class ThreadedFiles:
    """A synchronous file system, run in worker threads. Objects are renamed into place, as atomically as its `mv` is."""

    def __init__(self, fs: Any) -> None:
        self._fs = fs

    async def put(self, path: str, data: bytes) -> None:
        await asyncio.to_thread(self._write_and_move, path, lambda temporary: self._fs.pipe_file(temporary, data))

    async def put_file(self, path: str, source: Path, progress: TransferProgress) -> None:
        await asyncio.to_thread(
            self._write_and_move, path, lambda temporary: self._fs.put_file(str(source), temporary, callback=callback_of(progress))
        )

    def _write_and_move(self, path: str, store: Any) -> None:
        folder, name = posixpath.split(path)
        temporary = f"{folder}/{temporary_name(name)}"
        self._fs.makedirs(folder, exist_ok=True)
        try:
            store(temporary)
            self._fs.mv(temporary, path)
        except BaseException:
            with suppress(Exception):
                self._fs.rm_file(temporary)
            raise

    async def get(self, path: str, max_bytes: int) -> bytes:
        data: bytes = await asyncio.to_thread(self._fs.cat_file, path, start=0, end=max_bytes + 1)
        if len(data) > max_bytes:
            raise TooManyBytes
        return data

    async def get_file(self, path: str, target: Path, progress: TransferProgress) -> None:
        await asyncio.to_thread(self._fs.get_file, path, str(target), callback=callback_of(progress))

    async def info(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = await asyncio.to_thread(self._fs.info, path)
        return found

    async def delete(self, path: str) -> None:
        await asyncio.to_thread(self._fs.rm_file, path)

    async def listing(self, root: str) -> AsyncIterator[BlobEntry]:
        for entry in entries_of(await asyncio.to_thread(self._fs.find, root, detail=True)):
            yield entry

    async def delete_unfinished(self, root: str, before: float, *, dry_run: bool) -> int:
        return await asyncio.to_thread(self._delete_unfinished, root, before, dry_run)

    def _delete_unfinished(self, root: str, before: float, dry_run: bool) -> int:
        count = 0
        for name in self._fs.find(root):
            if is_temporary_name(posixpath.basename(name)):
                # It may be renamed or deleted meanwhile; a file system that does not tell times keeps it.
                with suppress(FileNotFoundError, NotImplementedError):
                    count += self._delete_if_old(name, before, dry_run)
        return count

    def _delete_if_old(self, path: str, before: float, dry_run: bool) -> bool:
        modified = self._fs.modified(path)
        seconds = modified.timestamp() if isinstance(modified, datetime) else float(modified)
        if seconds >= before:
            return False
        if not dry_run:
            self._fs.rm_file(path)
        return True

    async def close(self) -> None:
        """Most file systems close with their last reference."""


class MemoryFiles(ThreadedFiles):
    """The memory of this process: one dictionary for all of its backends, in which entries appear whole."""

    async def put(self, path: str, data: bytes) -> None:
        await asyncio.to_thread(self._fs.pipe_file, path, data)

    async def put_file(self, path: str, source: Path, progress: TransferProgress) -> None:
        # With fsspec's own method the file would be visible while it grows.
        data = await asyncio.to_thread(source.read_bytes)
        await self.put(path, data)
        progress.reached(len(data), len(data))

    async def get_file(self, path: str, target: Path, progress: TransferProgress) -> None:
        # fsspec's open files of one path share a position, so two readers would disturb each other.
        data = await self.get(path, progress.max_bytes)
        await asyncio.to_thread(target.write_bytes, data)
        progress.reached(len(data), len(data))


def callback_of(progress: TransferProgress, *, at_start: bool = True) -> Any:
    """Fsspec's callback that reports to `progress`; if not `at_start`, only when some bytes have come."""
    from fsspec.callbacks import Callback

    return Callback(hooks={"progress": lambda size, value, **_: progress.reached(size, value) if value or at_start else None})


def entries_of(found: dict[str, dict[str, Any]]) -> list[BlobEntry]:
    """The files in the result of a detailed `find`."""
    return [BlobEntry(name, int(info["size"])) for name, info in found.items() if info.get("type") == "file"]
