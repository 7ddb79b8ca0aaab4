"""`saver.blobs`: files that a graph stores explicitly, and refers to by handle."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

from ckptstore.blobs.download import Downloader
from ckptstore.blobs.registry import ObjectRegistry, Upload
from ckptstore.db.times import to_microseconds
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
_LONGEST_SHOWN_PATH = 500
# Attempts to store a blob while the garbage collector deletes the object that it would share.
_MAX_UPLOADS = 3


class BlobStore:
    """Stores and reads blobs. Every method returns an `Outcome`: `await` it, or call `result()` in code without an event loop.

    A blob is kept while a checkpoint or a write holds its handle; a blob whose handle no one holds yet is kept for the garbage
    collector's grace period. Equal contents are stored once. They are stored as they are: a serialiser that encrypts does not
    encrypt them. Without a blob backend (PostgreSQL without a `blob_url`) they are kept in the database, up to a bound.

    Args:
        store: the store.
        clock: the saver's clock.
        limiter: refuses blobs that are too large.
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
            source: the content, or the path of a file, or a file opened for reading bytes. Files are streamed, so that a file of any
                size needs little memory; an open file is first copied to a temporary file.
            media_type: stored in the handle, for example `application/pdf`.

        Returns:
            The handle to keep in the graph's state.

        Raises:
            InvalidConfig: `source` has another type, or can't be read.
            CheckpointTooLarge: the content exceeds `max_blob_bytes` of the saver's `SizeLimits`, or, without a blob backend,
                `database_bytes` of its `BlobSettings`; nothing was stored.
            BlobUnavailable: the backend failed. The garbage collector deletes what it may have stored.
        """
        return Outcome(self._put(source, media_type), name="blobs.put")

    def _put(self, source: Any, media_type: str | None) -> Steps[BlobRef]:
        if not hasattr(source, "read"):
            return (yield from self._store.wherever(lambda: self._upload(source, media_type)))
        objects = yield from self._store.ready_objects()
        with temporary_path() as spool:
            # An open file is read once only.
            yield objects.run(asyncio.to_thread(_copy, source, spool))
            return (yield from self._store.wherever(lambda: self._upload(spool, media_type)))

    def _upload(self, source: Any, media_type: str | None) -> Steps[BlobRef]:
        objects = yield from self._store.ready_objects()
        upload = _BlobUpload(objects, to_microseconds(self._clock()), self._limiter)
        if isinstance(source, (bytes, bytearray, memoryview)):
            uploading = upload.content(bytes(source))
        elif isinstance(source, (str, os.PathLike)):
            uploading = upload.file(Path(source))
        else:
            raise InvalidConfig(f"a blob is bytes, a path or an open file, got {type(source).__name__}")
        stored: _StoredBlob = yield objects.run(uploading)
        return handle_to(stored.digest, stored.size, media_type)

    def get(self, ref: BlobRef | str) -> Outcome[bytes]:
        """Read a whole blob and check it. Blobs that were read recently come from the cache.

        Args:
            ref: what `put` returned, or its `id`.

        Returns:
            Bytes whose SHA-256 is `ref.digest` (its first 160 bits are compared).

        Raises:
            InvalidConfig: `ref` is not a handle.
            BlobMissing: the blob is not registered, or its object is not in the backend.
            BlobCorrupt: the bytes have another digest.
            BlobUnavailable: the backend failed; safe to retry.
        """
        return Outcome(self._get(ref), name="blobs.get")

    def _get(self, ref: BlobRef | str) -> Steps[bytes]:
        digest = digest_of_handle(ref)
        objects = yield from self._store.ready_objects()
        data: bytes = yield objects.run(_get(objects, self._store.downloads, digest))
        return data

    def open(self, ref: BlobRef | str) -> Outcome[IO[bytes]]:
        """Open a blob as a file, without holding it in memory: `with await saver.blobs.open(ref) as file`.

        The content is copied to a temporary file and checked before this returns; closing the file deletes it.

        Args:
            ref: what `put` returned, or its `id`.

        Returns:
            A file opened for reading bytes; it can seek.

        Raises:
            InvalidConfig: see `get`, and so are the others.
            BlobMissing: see `get`.
            BlobCorrupt: see `get`.
            BlobUnavailable: see `get`.
        """
        return Outcome(self._open(ref), name="blobs.open")

    def _open(self, ref: BlobRef | str) -> Steps[IO[bytes]]:
        digest = digest_of_handle(ref)
        objects = yield from self._store.ready_objects()
        file: IO[bytes] = yield objects.run(_open(objects, digest))
        return file


class _StoredBlob(NamedTuple):
    #: SHA-256 in hexadecimal.
    digest: str
    #: Bytes.
    size: int


class _BlobUpload:
    """The upload of one blob, on the event loop of the registry."""

    def __init__(self, objects: ObjectRegistry, created_at: int, limiter: SizeChecker) -> None:
        self._objects = objects
        self._created_at = created_at
        self._limiter = limiter

    async def content(self, data: bytes) -> _StoredBlob:
        digest = await asyncio.to_thread(digest_of, data)
        return await self._store(digest, len(data), lambda backend, key: backend.put(key, data))

    async def file(self, path: Path) -> _StoredBlob:
        try:
            before = await asyncio.to_thread(_modification, path)
            digest, size = await asyncio.to_thread(hash_file, path)
        except (OSError, ValueError) as exc:
            # ValueError: no file's name holds NUL, nor half of a surrogate pair.
            raise InvalidConfig(
                f"can't read {str(path)[:_LONGEST_SHOWN_PATH]}: {getattr(exc, 'strerror', None) or type(exc).__name__}"
            ) from exc
        stored = await self._store(digest, size, lambda backend, key: backend.put_file(key, path))
        if await asyncio.to_thread(_modification, path) != before:
            raise BlobCorrupt(f"{path} was modified while it was stored; put it again when no program writes to it")
        return stored

    async def _store(self, digest: str, size: int, upload: Upload) -> _StoredBlob:
        self._limiter.check_blob(size, "a blob")
        for _ in range(_MAX_UPLOADS):
            key = await self._objects.ensure_uploaded(digest, size, self._created_at, upload)
            if await self._objects.confirm_live(key, self._created_at):
                return _StoredBlob(digest, size)
            await self._objects.forget([key])
        raise BlobUnavailable(f"blob {digest[:12]}... was garbage-collected {_MAX_UPLOADS} times during its upload; use a longer grace")


async def _get(objects: ObjectRegistry, downloads: Downloader, digest: str) -> bytes:
    key, size = await objects.find(digest)
    return await downloads.fetch_one(LoadedSegment(compact(digest), key, size, "raw", None))


async def _open(objects: ObjectRegistry, digest: str) -> IO[bytes]:
    key, size = await objects.find(digest)
    path = new_temporary_file()
    try:
        await objects.copy_to(key, path, size)
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


def _modification(path: Path) -> tuple[int, int]:
    """Time of modification and size: one of them changes when the file is written to."""
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


def _copy(source: IO[bytes], target: Path) -> None:
    with target.open("wb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            if not isinstance(chunk, bytes):
                raise InvalidConfig(f"read() of the file returned {type(chunk).__name__}; open it for reading bytes (mode 'rb')")
            file.write(chunk)
