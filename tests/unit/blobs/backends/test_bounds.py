"""Files in a blob folder, and in the cache's, that somebody replaced: they are refused, at once and without the memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from ckptstore.blobs.backends.local import LocalBackend
from ckptstore.blobs.backends.open import open_backend
from ckptstore.errors import BlobCorrupt, BlobMissing
from ckptstore.values.cache import FolderCache
from tests.support.blob_backends import KEY, ONCE, PlainFiles
from tests.support.memory import at_most

SIZE = 1_000
_MEBIBYTE = 1024 * 1024
GROWN = 3 * 1024 * _MEBIBYTE
#: Of a file that fsspec copies as a whole before anything is asked: far more than the memory that is allowed.
GROWN_AND_COPIED = 64 * _MEBIBYTE


def grow(path: Path, size: int = GROWN) -> None:
    os.truncate(path, size)


def link_to_zeros(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
@pytest.mark.parametrize("replace", [grow, link_to_zeros, make_fifo])
async def test_a_file_that_was_replaced_is_refused(folder: Path, tmp_path: Path, replace: Callable[[Path], None]) -> None:
    backend = LocalBackend(folder)
    await backend.put(KEY, b"x" * SIZE)
    replace(folder / KEY)
    with at_most(8 * _MEBIBYTE):
        for read in (lambda: backend.get(KEY, SIZE), lambda: backend.get_file(KEY, tmp_path / "target", SIZE)):
            with pytest.raises(BlobCorrupt, match=KEY):
                await read()
    assert not (tmp_path / "target").exists() or (tmp_path / "target").stat().st_size <= 2 * _MEBIBYTE


async def test_a_link_to_a_file_is_read(folder: Path, tmp_path: Path) -> None:
    backend = LocalBackend(folder)
    await backend.put(KEY, b"x" * SIZE)
    (folder / KEY).rename(tmp_path / "elsewhere")
    (folder / KEY).symlink_to(tmp_path / "elsewhere")
    assert await backend.get(KEY, SIZE) == b"x" * SIZE
    (tmp_path / "elsewhere").unlink()
    with pytest.raises(BlobMissing):
        await backend.get(KEY, SIZE)


async def test_a_file_of_another_file_system_that_grew_is_refused(tmp_path: Path) -> None:
    fsspec.register_implementation("plainfiles", PlainFiles, clobber=True)
    backend = open_backend(f"plainfiles://{tmp_path}/blobs", ONCE)
    await backend.put(KEY, b"x" * SIZE)
    grow(tmp_path / "blobs" / KEY, GROWN_AND_COPIED)
    with at_most(8 * _MEBIBYTE):
        for read in (lambda: backend.get(KEY, SIZE), lambda: backend.get_file(KEY, tmp_path / "target", SIZE)):
            with pytest.raises(BlobCorrupt, match=KEY):
                await read()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
@pytest.mark.parametrize("replace", [grow, link_to_zeros, make_fifo])
def test_a_file_in_the_cache_that_was_replaced_is_not_used(tmp_path: Path, replace: Callable[[Path], None]) -> None:
    cache = FolderCache(tmp_path, 10_000)
    cache.put("digest", b"x" * SIZE)
    assert cache.get("digest", SIZE) == b"x" * SIZE
    (path,) = tmp_path.iterdir()
    replace(path)
    with at_most(8 * _MEBIBYTE):
        assert cache.get("digest", SIZE) is None
    # What is read from the backend replaces it.
    cache.put("digest", b"x" * SIZE)
    assert cache.get("digest", SIZE) == b"x" * SIZE
