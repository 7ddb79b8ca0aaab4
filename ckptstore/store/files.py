"""`saver.blobs`: files that a graph keeps by handle, put and read explicitly."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO, Any, BinaryIO

from ckptstore.blobs.download import Downloader
from ckptstore.blobs.registry import ObjectRegistry, Upload
from ckptstore.db.models import to_microseconds
from ckptstore.errors import BlobCorrupt, BlobUnavailable, InvalidConfig
from ckptstore.handles import BlobRef, digest_of_handle, handle_to
from ckptstore.records import LoadedSegment
from ckptstore.runtime.steps import Outcome, Steps
from ckptstore.runtime.temporary_files import DeletedOnClose, new_temporary_file, temporary_path
from ckptstore.store.store import Store
from ckptstore.values.digests import compact, digest_of, hash_file
from ckptstore.values.size_limits import SizeChecker

Source = bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO

_CHUNK_BYTES = 1024 * 1024
# An object that is being deleted just now makes the next upload a new one.
_ATTEMPTS = 3


class BlobStore:
    """Blobs by handle. Every method returns an `Outcome`: `await` it, or call `result()` in code without an event loop.

    A blob stays as long as a checkpoint or a write holds its handle; one that none holds yet is safe for the collector's
    period of grace. Contents are stored once, however often they are put. They are stored as they are: a serialiser that
    encrypts does not reach them.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime], limiter: SizeChecker) -> None:
        self._store = store
        self._clock = clock
        self._limiter = limiter

    def put(
        self, source: bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO, *, media_type: str | None = None
    ) -> Outcome[BlobRef]:
        """Store a blob.

        Args:
            source: the content; or the path of a file, or a file opened for reading bytes: those are streamed, so that a
                file of any size takes little memory (an open file is copied to a temporary one first).
            media_type: kept in the handle, for whoever reads it.

        Raises:
            InvalidConfig: the saver has no blob backend, or the source is none of these.
            CheckpointTooLarge: it is past `max_blob_bytes` of the saver's `SizeLimits`; nothing was stored.
            BlobUnavailable: the backend failed; nothing refers to what it may have stored.
        """
        return Outcome(self._put(source, media_type), name="blobs.put")

    def _put(self, source: Any, media_type: str | None) -> Steps[BlobRef]:
        objects = yield from self._store.ready_objects()
        putting = _Putting(objects, to_microseconds(self._clock()), self._limiter)
        if isinstance(source, (bytes, bytearray, memoryview)):
            steps = putting.content(bytes(source))
        elif isinstance(source, (str, os.PathLike)):
            steps = putting.file(Path(source))
        elif hasattr(source, "read"):
            steps = putting.stream(source)
        else:
            raise InvalidConfig(f"a blob is bytes, a path or an open file, got {type(source).__name__}")
        digest, size = yield objects.run(steps)
        return handle_to(digest, size, media_type)

    def get(self, ref: BlobRef | str) -> Outcome[bytes]:
        """Read a blob whole and check it; a blob that was read lately comes from the cache.

        Args:
            ref: what `put` returned, or its `id`.

        Returns:
            Bytes whose SHA-256 is `ref.digest` (its first 160 bits are compared).

        Raises:
            BlobMissing: no such blob is registered, or its object is not in the backend.
            BlobCorrupt: the bytes hash to something else.
            BlobUnavailable: the backend failed; safe to try again.
        """
        return Outcome(self._get(ref), name="blobs.get")

    def _get(self, ref: BlobRef | str) -> Steps[bytes]:
        digest = digest_of_handle(ref)
        objects = yield from self._store.ready_objects()
        data: bytes = yield objects.run(_get(objects, self._store.downloads, digest))
        return data

    def open(self, ref: BlobRef | str) -> Outcome[IO[bytes]]:
        """Open a blob for reading, in memory that does not grow with it: `with await saver.blobs.open(ref) as file`.

        The content is copied to a temporary file and checked before any of it is handed out; closing the file deletes it.
        Seeking works. Raises as `get`.
        """
        return Outcome(self._open(ref), name="blobs.open")

    def _open(self, ref: BlobRef | str) -> Steps[IO[bytes]]:
        digest = digest_of_handle(ref)
        objects = yield from self._store.ready_objects()
        file: IO[bytes] = yield objects.run(_open(objects, digest))
        return file


class _Putting:
    """One blob on its way in."""

    def __init__(self, objects: ObjectRegistry, moment: int, limiter: SizeChecker) -> None:
        self._objects = objects
        self._moment = moment
        self._limiter = limiter

    async def content(self, data: bytes) -> tuple[str, int]:
        digest = await asyncio.to_thread(digest_of, data)
        return await self._place(digest, len(data), lambda backend, key: backend.put(key, data))

    async def file(self, path: Path) -> tuple[str, int]:
        try:
            before = await asyncio.to_thread(_stamp, path)
            digest, size = await asyncio.to_thread(hash_file, path)
        except OSError as exc:
            raise InvalidConfig(f"can't read {path}: {exc.strerror or type(exc).__name__}") from exc
        placed = await self._place(digest, size, lambda backend, key: backend.put_file(key, path))
        if await asyncio.to_thread(_stamp, path) != before:
            raise BlobCorrupt(f"{path} changed while it was stored; put it again when nobody writes to it")
        return placed

    async def stream(self, file: IO[bytes]) -> tuple[str, int]:
        with temporary_path() as spool:
            await asyncio.to_thread(_copy, file, spool)
            return await self.file(spool)

    async def _place(self, digest: str, size: int, upload: Upload) -> tuple[str, int]:
        self._limiter.check_blob(size, "a blob")
        for _ in range(_ATTEMPTS):
            key = await self._objects.ensure_uploaded(digest, size, self._moment, upload)
            if await self._objects.confirm_live(key, self._moment):
                return digest, size
            await self._objects.forget([key])
        raise BlobUnavailable(f"blob {digest[:12]}... is being deleted again and again; is the collector's grace too short?")


async def _get(objects: ObjectRegistry, downloads: Downloader, digest: str) -> bytes:
    key, size = await objects.find(digest)
    return await downloads.fetch_one(LoadedSegment(compact(digest), key, size, "raw", None))


async def _open(objects: ObjectRegistry, digest: str) -> IO[bytes]:
    key, size = await objects.find(digest)
    path = new_temporary_file()
    try:
        await objects.copy_to(key, path)
        actual, actual_size = await asyncio.to_thread(hash_file, path)
        if actual != digest:
            raise BlobCorrupt(
                f"object {key} at {objects.backend.url} was truncated or altered: {actual_size} bytes hash to {actual[:12]}, "
                f"expected {size} bytes and {digest[:12]}"
            )
        return DeletedOnClose(path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


def _copy(source: IO[bytes], target: Path) -> None:
    with target.open("wb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            if not isinstance(chunk, bytes):
                raise InvalidConfig(f"the file gives {type(chunk).__name__}; open it for reading bytes (mode 'rb')")
            file.write(chunk)
