"""Objects in a folder: durable before they are named."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import pytest

from ckptstore.blobs.backends.local import LocalBackend
from ckptstore.blobs.backends.object_keys import temporary_name
from ckptstore.blobs.backends.open import open_backend
from ckptstore.blobs.backends.protocol import BlobBackend, BlobEntry
from ckptstore.blobs.settings import BlobSettings
from ckptstore.errors import BlobMissing, BlobUnavailable
from ckptstore.testing import BlobBackendConformance
from tests.support.blob_backends import ENOUGH, KEY, Killed, PlainFiles, T, files_in, listed


class TestLocal(BlobBackendConformance):
    @pytest.fixture
    async def backend(self, tmp_path: Path) -> AsyncIterator[BlobBackend]:
        backend = open_backend(tmp_path / "blobs")
        yield backend
        await backend.close()


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is made durable and renamed, in order, by path."""
    steps: list[tuple[str, str]] = []
    fsync, replace = os.fsync, os.replace

    def recording_fsync(descriptor: int) -> None:
        steps.append(("fsync", os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def recording_replace(source: Path, target: Path) -> None:
        steps.append(("replace", str(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(os, "replace", recording_replace)
    return steps


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="names of open files come from /proc")
async def test_bytes_are_durable_before_the_name_and_the_name_before_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = recorded(monkeypatch)
    folder = tmp_path / "new" / "blobs"
    await LocalBackend(folder).put(KEY, b"content")
    written = next(path for step, path in steps if step == "fsync" and path.endswith(".part"))
    assert Path(written).parent == folder / "ab"
    assert steps.index(("fsync", written)) < steps.index(("replace", str(folder / KEY)))
    assert steps[-2:] == [("replace", str(folder / KEY)), ("fsync", str(folder / "ab"))]
    assert {path for step, path in steps if step == "fsync"} >= {str(folder), str(folder.parent), str(tmp_path)}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="names of open files come from /proc")
async def test_a_second_put_into_a_folder_syncs_no_more_than_it_must(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = LocalBackend(tmp_path)
    await backend.put("ab/first", b"content")
    steps = recorded(monkeypatch)
    await backend.put("ab/second", b"content")
    assert [step for step, _ in steps] == ["fsync", "replace", "fsync"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
async def test_a_put_that_ends_midway_leaves_nothing(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = LocalBackend(tmp_path / "blobs")
    (tmp_path / "source").write_bytes(b"content")
    await backend.put("ab/other", b"content")
    seen: list[list[BlobEntry]] = []

    def kill(*_: Any) -> None:
        seen.append(asyncio.run(listed(backend)))
        raise Killed

    monkeypatch.setattr(os, step, kill)
    for call in (partial(backend.put, KEY, b"content"), partial(backend.put_file, KEY, tmp_path / "source")):
        with pytest.raises(Killed):
            await call()
    assert seen == [[BlobEntry("ab/other", 7)]] * 2
    assert files_in(tmp_path / "blobs") == ["ab/other"]


async def test_what_a_dead_process_was_writing_is_no_object(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path)
    await backend.put(KEY, b"content")
    (tmp_path / "ab" / temporary_name("abcdef-02")).write_bytes(b"half")
    assert await listed(backend) == [BlobEntry(KEY, 7)]


async def test_a_folder_that_was_tidied_up_is_made_again(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path / "blobs")
    await backend.put(KEY, b"content")
    (tmp_path / "blobs" / KEY).unlink()
    (tmp_path / "blobs" / "ab").rmdir()
    (tmp_path / "blobs").rmdir()
    await backend.put(KEY, b"content")
    assert await backend.get(KEY, ENOUGH) == b"content"


async def test_a_put_is_one_hop_and_no_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hops: list[Any] = []
    to_thread = asyncio.to_thread

    async def counted(function: Callable[..., T], *args: Any) -> T:
        hops.append(function)
        return await to_thread(function, *args)

    monkeypatch.setattr(asyncio, "to_thread", counted)
    backend = LocalBackend(tmp_path)
    await backend.put(KEY, memoryview(b"content"))
    assert len(hops) == 1
    await backend.get(KEY, ENOUGH)
    assert len(hops) == 2


async def test_a_file_where_the_folder_should_be_is_no_passing_fault(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_bytes(b"not a folder")
    backend = open_backend(tmp_path / "blobs")
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: backend.put(KEY, b"content"), lambda: backend.get(KEY, ENOUGH), lambda: backend.delete(KEY), lambda: listed(backend),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(BlobUnavailable) as caught:
            await call()
        assert not caught.value.transient
        assert str(tmp_path / "blobs") in str(caught.value)


@pytest.mark.parametrize(
    ("number", "transient"), [("ENOSPC", False), ("EACCES", False), ("EROFS", False), ("EDQUOT", False), ("EIO", True), ("EMFILE", True)]
)
async def test_faults_of_the_disk_are_translated(number: str, transient: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def fail(*_: Any) -> None:
        raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)))

    backend = LocalBackend(tmp_path)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(BlobUnavailable) as caught:
        await backend.put(KEY, b"content")
    assert caught.value.transient is transient
    assert KEY in str(caught.value)
    assert backend.url in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


async def test_a_folder_that_cannot_be_made_is_not_a_missing_blob(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"content")
    # Nobody can make a folder there, and the system says that there is no such file.
    backend = open_backend("/proc/nowhere", BlobSettings(retry_seconds=60))
    for call in (partial(backend.put, KEY, b"content"), partial(backend.put_file, KEY, tmp_path / "source")):
        with pytest.raises(BlobUnavailable, match="No such file") as caught:
            await call()
        assert not caught.value.transient
    with pytest.raises(BlobMissing):
        await backend.get(KEY, ENOUGH)


@pytest.mark.parametrize("operation", ["put", "put_file"])
async def test_a_folder_that_is_deleted_during_a_put_is_not_a_missing_blob(
    operation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source").write_bytes(b"content")
    backend = LocalBackend(tmp_path / "blobs")
    fsync = os.fsync

    def vanish(descriptor: int) -> None:
        if (tmp_path / "blobs" / "ab").exists() and any((tmp_path / "blobs" / "ab").iterdir()):
            shutil.rmtree(tmp_path / "blobs")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", vanish)
    with pytest.raises(BlobUnavailable) as caught:
        await (backend.put(KEY, b"content") if operation == "put" else backend.put_file(KEY, tmp_path / "source"))
    assert not caught.value.transient


async def test_a_folder_that_is_deleted_during_a_put_elsewhere_is_no_missing_blob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.register_implementation("plainfiles", PlainFiles, clobber=True)
    (tmp_path / "source").write_bytes(b"content")
    backend = open_backend(f"plainfiles://{tmp_path}/blobs", BlobSettings(retry_seconds=60))

    def gone(_fs: Any, _source: str, target: str) -> None:
        raise FileNotFoundError(target)

    monkeypatch.setattr(PlainFiles, "mv", gone)
    for call in (partial(backend.put, KEY, b"content"), partial(backend.put_file, KEY, tmp_path / "source")):
        with pytest.raises(BlobUnavailable) as caught:
            await call()
        assert not caught.value.transient


WITHOUT_RIGHTS = """
import asyncio, os, sys
from pathlib import Path
from ckptstore.blobs.backends.local import LocalBackend
from ckptstore.errors import BlobUnavailable

if os.geteuid() == 0:
    # Root may write everywhere.
    os.setuid(65534)
try:
    asyncio.run(LocalBackend(Path(sys.argv[1])).put("ab/abcdef-01", b"content"))
except BlobUnavailable as exc:
    print(exc.transient, exc)
"""


@pytest.mark.starts_processes
def test_a_folder_without_the_right_to_write_is_reported_and_not_tried_again() -> None:
    # Not below pytest's own folder, which nobody else may even enter.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        done = subprocess.run([sys.executable, "-c", WITHOUT_RIGHTS, folder], capture_output=True, text=True, check=True)
        assert done.stdout.startswith("False ")
        assert "Permission denied" in done.stdout
        assert os.listdir(folder) == []


async def test_a_folder_below_a_file_is_reported_and_not_tried_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BlobUnavailable, match="File exists") as caught:
        await LocalBackend(tmp_path / "file" / "blobs").put(KEY, b"content")
    assert not caught.value.transient
