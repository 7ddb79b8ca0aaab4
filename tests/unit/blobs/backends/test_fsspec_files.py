"""Objects in other file systems of fsspec."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

from ckptstore.blobs.backends.object_keys import temporary_name
from ckptstore.blobs.backends.open import open_backend
from ckptstore.blobs.backends.protocol import BlobBackend, BlobEntry
from ckptstore.blobs.settings import BlobSettings
from ckptstore.errors import BlobUnavailable
from ckptstore.testing import BlobBackendConformance
from tests.support.blob_backends import ENOUGH, KEY, ONCE, PlainFiles, files_in, listed, numbers


class TestOtherFileSystem(BlobBackendConformance):
    @pytest.fixture
    async def backend(self, tmp_path: Path) -> AsyncIterator[BlobBackend]:
        fsspec.register_implementation("plainfiles", PlainFiles, clobber=True)
        backend = open_backend(f"plainfiles://{tmp_path}/blobs")
        yield backend
        await backend.close()


class TestOtherAsyncFileSystem(BlobBackendConformance):
    @pytest.fixture
    async def backend(self, tmp_path: Path) -> AsyncIterator[BlobBackend]:
        # Some releases of fsspec do not know the name of their own wrapper.
        fsspec.register_implementation("async_wrapper", AsyncFileSystemWrapper, clobber=True)
        options = {"fs": LocalFileSystem(auto_mkdir=True)}
        backend = open_backend(f"async_wrapper://{tmp_path}/blobs", BlobSettings(options=options))
        yield backend
        await backend.close()


class ClosedAtExit(AsyncFileSystemWrapper):  # type: ignore[misc]  # fsspec has no types
    """As adlfs: its client is closed on its loop when Python exits, which fails where it was made for the loop of somebody else."""

    protocol = "abfs"
    closed: ClassVar[list[bool]] = []

    def __init__(self, *, asynchronous: bool = False, **options: Any) -> None:
        super().__init__(LocalFileSystem(auto_mkdir=True), asynchronous=asynchronous, **options)
        self.service_client = self

    async def close(self) -> None:
        self.closed.append(self.loop.is_running())


async def test_what_would_be_closed_at_exit_is_closed_with_its_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_registry, "abfs", ClosedAtExit)
    backend = open_backend(f"abfs://{tmp_path}/blobs")
    await backend.put(KEY, b"content")
    assert await backend.get(KEY, ENOUGH) == b"content"
    await backend.close()
    assert ClosedAtExit.closed == [True]


async def test_a_file_in_memory_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source").write_bytes(b"content")
    monkeypatch.setattr(MemoryFileSystem, "put_file", None)
    backend = open_backend(f"memory://whole/{next(numbers)}")
    await backend.put_file(KEY, tmp_path / "source")
    assert await backend.get(KEY, ENOUGH) == b"content"


async def test_other_file_systems_move_an_object_into_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.register_implementation("plainfiles", PlainFiles, clobber=True)
    backend = open_backend(f"plainfiles://{tmp_path}/blobs", ONCE)
    seen: list[list[BlobEntry]] = []

    def kill(*_: Any) -> None:
        seen.append(asyncio.run(listed(open_backend(f"plainfiles://{tmp_path}/blobs"))))
        raise OSError("broken")

    monkeypatch.setattr(PlainFiles, "mv", kill)
    with pytest.raises(BlobUnavailable):
        await backend.put(KEY, b"content")
    assert seen == [[]]
    assert files_in(tmp_path) == []


async def test_old_files_of_unfinished_uploads_are_deleted(tmp_path: Path) -> None:
    fsspec.register_implementation("plainfiles", PlainFiles, clobber=True)
    backend = open_backend(f"plainfiles://{tmp_path}/blobs")
    assert await backend.delete_unfinished(0, dry_run=False) == 0
    await backend.put(KEY, b"content")
    folder = tmp_path / "blobs" / KEY.rpartition("/")[0]
    old, young, other = folder / temporary_name("old"), folder / temporary_name("young"), folder / ".somebody.part"
    for path in (old, young, other):
        await asyncio.to_thread(path.write_bytes, b"half")
    for path in (old, other):
        os.utime(path, (0, 0))
    assert await backend.delete_unfinished(3600, dry_run=True) == 1
    assert await asyncio.to_thread(old.exists)
    assert await backend.delete_unfinished(3600, dry_run=False) == 1
    # Not even without a grace: somebody may be writing it.
    assert await backend.delete_unfinished(0, dry_run=False) == 0
    left = await asyncio.to_thread(lambda: {path.name for path in folder.iterdir()})
    assert left == {KEY.rpartition("/")[2], young.name, other.name}
    await backend.close()
