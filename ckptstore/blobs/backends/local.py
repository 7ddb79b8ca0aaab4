"""Blobs as files in a folder: each is written to a temporary file, made durable, and renamed into place."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path

from ckptstore.blobs.backends.error_mapping import blob_too_long, mapped_errors
from ckptstore.blobs.backends.object_keys import check_key, is_object_key, temporary_name
from ckptstore.blobs.backends.protocol import BlobBackend, BlobEntry
from ckptstore.blobs.backends.transfer_log import TransferProgress, log_operation
from ckptstore.blobs.backends.unfinished import delete_unfinished, hold
from ckptstore.errors import BlobCorrupt
from ckptstore.runtime.private_files import make_private_folder, open_private
from ckptstore.runtime.regular_files import open_regular, read_at_most

logger = logging.getLogger(__name__)

_SCHEME = "file://"
_CHUNK_BYTES = 1024 * 1024
_Fill = Callable[[FileIO], object]


def is_local(backend: BlobBackend) -> bool:
    """Whether looking at an object takes a system call and no request."""
    return backend.url.startswith(_SCHEME)


class LocalBackend:
    """A folder of this machine, or one that is mounted here.

    An object appears by a rename, after its bytes are on the disk; the folder's entry is on the disk when `put` returns. A process
    that dies while it writes leaves a file `.<name>.<random>.part`, which is no object and which `delete_unfinished` deletes.

    Args:
        folder: where the objects are; created by the first `put`.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        # Absolute, so that a later change of the working directory does not change the store.
        self._folder = Path(os.path.abspath(os.path.expanduser(folder)))
        self.url = f"{_SCHEME}{self._folder}"
        #: Folders whose entry in their parent is known to be on the disk.
        self._durable: set[Path] = set()

    async def put(self, key: str, data: bytes | memoryview) -> None:
        check_key(key, self.url)
        with log_operation(logger, logging.INFO, "blob_put", key) as progress:
            await asyncio.to_thread(self._write, key, lambda file: _write_all(file, data))
            progress.bytes = memoryview(data).nbytes

    async def put_file(self, key: str, path: Path) -> None:
        check_key(key, self.url)
        with log_operation(logger, logging.INFO, "blob_put", key) as progress:
            await asyncio.to_thread(self._put_file, key, path, progress)

    async def get(self, key: str, max_bytes: int) -> bytes:
        check_key(key, self.url)
        with log_operation(logger, logging.DEBUG, "blob_get", key) as progress:
            data = await asyncio.to_thread(self._read, key, max_bytes)
            progress.bytes = len(data)
        return data

    async def get_file(self, key: str, path: Path, max_bytes: int) -> None:
        check_key(key, self.url)
        with log_operation(logger, logging.DEBUG, "blob_get", key) as progress:
            await asyncio.to_thread(self._get_file, key, path, max_bytes, progress)

    async def size(self, key: str) -> int | None:
        check_key(key, self.url)
        return await asyncio.to_thread(self._size, key)

    async def delete(self, key: str) -> None:
        check_key(key, self.url)
        with log_operation(logger, logging.DEBUG, "blob_deleted", key):
            await asyncio.to_thread(self._delete, key)

    async def entries(self) -> AsyncIterator[BlobEntry]:
        folders = [""]
        while folders:
            inner, entries = await asyncio.to_thread(self._scan, folders.pop())
            folders += inner
            for entry in entries:
                yield entry

    async def delete_unfinished(self, min_age_seconds: float, *, dry_run: bool) -> int:
        with mapped_errors(self.url):
            return await asyncio.to_thread(delete_unfinished, self._folder, min_age_seconds, dry_run=dry_run)

    async def close(self) -> None:
        """Nothing is open between operations."""

    # --- in a worker thread

    def _put_file(self, key: str, path: Path, progress: TransferProgress) -> None:
        # Opened outside of `mapped_errors`: a source that can't be read is the caller's fault, not the backend's.
        with path.open("rb", buffering=0) as source:
            self._write(key, lambda file: _copy(source, file, progress))

    def _write(self, key: str, fill: _Fill) -> None:
        target = self._folder / key
        temporary = target.with_name(temporary_name(target.name))
        with mapped_errors(self.url, key):
            try:
                with self._create(temporary) as file:
                    hold(file)
                    fill(file)
                    os.fsync(file.fileno())
                os.replace(temporary, target)
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise
            _sync_folder(target.parent)

    def _create(self, path: Path) -> FileIO:
        self._make_folder(path.parent)
        try:
            return open(path, "xb", buffering=0, opener=open_private)
        except FileNotFoundError:
            # The folder was deleted since it was created.
            self._durable.clear()
            self._make_folder(path.parent)
            return open(path, "xb", buffering=0, opener=open_private)

    def _make_folder(self, folder: Path) -> None:
        # That the folder exists is not enough: another process may have created it a moment ago and not made its entry durable yet.
        if folder in self._durable:
            return
        if folder == self._folder:
            # Only for folders created here: an existing parent may not be ours to open.
            made = [each for each in (folder, *folder.parents) if not each.exists()]
        else:
            self._make_folder(folder.parent)
            made = [folder]
        make_private_folder(folder)
        for each in made:
            _sync_folder(each.parent)
        self._durable.add(folder)

    def _read(self, key: str, max_bytes: int) -> bytes:
        with mapped_errors(self.url, key, reads=True), self._open(key) as file:
            data = read_at_most(file, max_bytes)
        if data is None:
            raise blob_too_long(key, self.url, max_bytes)
        return data

    def _get_file(self, key: str, path: Path, max_bytes: int, progress: TransferProgress) -> None:
        with mapped_errors(self.url, key, reads=True):
            source = self._open(key)
        with source, path.open("wb", buffering=0) as target:
            if os.fstat(source.fileno()).st_size > max_bytes or _copy(source, target, progress, max_bytes) > max_bytes:
                raise blob_too_long(key, self.url, max_bytes)

    def _open(self, key: str) -> FileIO:
        file = open_regular(self._folder / key)
        if file is None:
            raise BlobCorrupt(f"object {key} at {self.url} is no file any more but a device, a FIFO or a socket; restore it")
        return file

    def _size(self, key: str) -> int | None:
        with mapped_errors(self.url, key):
            try:
                found = os.stat(self._folder / key)
            except FileNotFoundError:
                return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def _delete(self, key: str) -> None:
        with mapped_errors(self.url, key):
            (self._folder / key).unlink(missing_ok=True)

    def _scan(self, inner: str) -> tuple[list[str], list[BlobEntry]]:
        folders: list[str] = []
        entries: list[BlobEntry] = []
        with mapped_errors(self.url), suppress(FileNotFoundError), os.scandir(self._folder / inner) as listed:
            for each in listed:
                key = f"{inner}{each.name}"
                if not is_object_key(key):
                    continue
                if each.is_dir(follow_symlinks=False):
                    folders.append(f"{key}/")
                    continue
                # It may have been deleted since the folder was read.
                with suppress(FileNotFoundError):
                    if stat.S_ISREG((found := each.stat()).st_mode):
                        entries.append(BlobEntry(key, found.st_size))
        return folders, entries


def _write_all(file: FileIO, data: bytes | memoryview) -> None:
    remaining = memoryview(data).cast("B")
    # One call writes at most 2 GiB on Linux.
    while remaining:
        remaining = remaining[file.write(remaining) :]


def _copy(source: FileIO, target: FileIO, progress: TransferProgress, max_bytes: int = sys.maxsize) -> int:
    """Copy a file, and stop once it turns out to have more than `max_bytes`; returns how many were copied."""
    total = os.fstat(source.fileno()).st_size
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    done = 0
    while done <= max_bytes and (count := source.readinto(buffer)):
        _write_all(target, buffer[:count])
        done += count
        progress.reached(total, done)
    return done


def _sync_folder(folder: Path) -> None:
    directory: int | None = getattr(os, "O_DIRECTORY", None)
    if directory is None:
        # Windows can't open a folder for this; NTFS journals the entry that a rename makes.
        return
    descriptor = os.open(folder, os.O_RDONLY | directory)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        # Some network mounts know no such thing: their server keeps the folder.
        if exc.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
