"""Copying blobs from one backend to another goes on where it stopped, and past what fails."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ckptstore.blobs.backends.local import LocalBackend
from ckptstore.blobs.backends.protocol import BlobBackend
from ckptstore.blobs.copy import CopyReport, copy_blobs
from ckptstore.errors import BlobUnavailable
from ckptstore.testing import FailingBackend
from ckptstore.values.digests import digest_of, new_object_key
from tests.support.blob_backends import listed

FILES = [os.urandom(1_000 + number) for number in range(12)]


@pytest.fixture
async def source(tmp_path: Path) -> BlobBackend:
    """A backend with some objects."""
    backend = LocalBackend(tmp_path / "source")
    for content in FILES:
        await backend.put(new_object_key(digest_of(content)), content)
    return backend


async def copy(source: BlobBackend, target: BlobBackend) -> CopyReport:
    return await copy_blobs(source, target, lambda _objects, _bytes: None, lambda _bytes: None)


async def test_a_copy_that_broke_off_continues_where_it_stopped(source: BlobBackend, tmp_path: Path) -> None:
    inner = LocalBackend(tmp_path / "target")
    target = FailingBackend(inner)
    target.fail("put_file", BlobUnavailable("disk full", transient=False), on_call=5, times=100)
    broken = await copy(source, target)
    assert (broken.copied, len(broken.failed)) == (4, 8)
    rest = await copy(source, inner)
    assert (rest.copied, rest.skipped, rest.failed) == (8, 4, {})
    assert await listed(inner) == await listed(source)


async def test_an_object_without_room_on_the_temporary_disk_fails_alone(source: BlobBackend, tmp_path: Path) -> None:
    failing = FailingBackend(source)
    failing.fail("get_file", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), on_call=3, times=2)
    target = LocalBackend(tmp_path / "target")
    totals: list[tuple[int, int]] = []
    done: list[int] = []
    report = await copy_blobs(failing, target, lambda objects, total: totals.append((objects, total)), done.append)
    assert totals == [(len(FILES), sum(map(len, FILES)))]
    assert (report.copied, len(report.failed), len(done)) == (10, 2, 12)
    assert all("No space left" in why for why in report.failed.values())
    assert (await copy(source, target)).failed == {}


async def test_an_altered_object_and_one_that_is_not_ours_are_named_and_not_copied(source: BlobBackend, tmp_path: Path) -> None:
    altered = (await listed(source))[0].key
    await source.put(altered, b"altered")
    await source.put("ab/readme", b"not a blob of ours")
    target = LocalBackend(tmp_path / "target")
    report = await copy(source, target)
    assert list(report.failed) == [altered]
    assert "was truncated or altered" in report.failed[altered]
    assert report.unrecognised == ["ab/readme"]
    assert len(await listed(target)) == report.copied == len(FILES) - 1
