"""Blob backends: the shipped conformance suite on each kind, and what is particular to one."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import boto3
import fsspec
import pytest
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from ckptstore.blobs.backends.fsspec_backend import FsspecBackend
from ckptstore.blobs.backends.local import LocalBackend
from ckptstore.blobs.backends.object_keys import is_object_key, temporary_name
from ckptstore.blobs.backends.open import open_backend
from ckptstore.blobs.backends.protocol import BlobBackend, BlobEntry
from ckptstore.blobs.backends.wrappers import BackendWrapper, BoundedBackend, RetryingBackend
from ckptstore.blobs.settings import BlobSettings
from ckptstore.errors import BlobMissing, BlobUnavailable, InvalidUrl, MissingDriver
from ckptstore.testing import BlobBackendConformance, FailingBackend, PausingBackend
from tests.support.s3 import S3Server, moto_server

T = TypeVar("T")

KEY = "ab/abcdef-01"
ONCE = BlobSettings(retry_seconds=0)
# Nobody tries again beneath us: every answer is seen.
ONE_REQUEST = BlobSettings(retry_seconds=0, options={"config_kwargs": {"retries": {"total_max_attempts": 1}}})
SECRET = "hunter2SECRET"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture
def bucket(s3: S3Server) -> str:
    """An empty bucket's name."""
    name = f"bucket-{next(_numbers)}"
    s3.create_bucket(name)
    return name


@pytest.fixture
async def s3_backend(s3: S3Server, bucket: str) -> AsyncIterator[BlobBackend]:
    backend = open_backend(s3.bucket_url(bucket), ONE_REQUEST)
    yield backend
    await backend.close()


class PlainFiles(LocalFileSystem):
    """A file system of plain methods, as SFTP is: no coroutines, folders must be made, a file is seen while it grows."""

    protocol = "plainfiles"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(LocalFileSystem._strip_protocol(path.removeprefix("plainfiles://")))


class TestLocal(BlobBackendConformance):
    @pytest.fixture
    async def backend(self, tmp_path: Path) -> AsyncIterator[BlobBackend]:
        backend = open_backend(tmp_path / "blobs")
        yield backend
        await backend.close()


class TestMemory(BlobBackendConformance):
    memory_is_elsewhere = False

    @pytest.fixture
    async def backend(self) -> AsyncIterator[BlobBackend]:
        backend = open_backend(f"memory://tests/{next(_numbers)}")
        yield backend
        await backend.close()


class TestS3(BlobBackendConformance):
    # moto runs in this process; `test_memory_does_not_grow_with_a_file_in_s3` measures a client of its own.
    memory_is_elsewhere = False

    @pytest.fixture
    async def backend(self, s3: S3Server, bucket: str) -> AsyncIterator[BlobBackend]:
        backend = open_backend(s3.bucket_url(bucket), BlobSettings(part_bytes=5 * 1024 * 1024))
        yield backend
        await backend.close()


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


class TestWrapped(BlobBackendConformance):
    @pytest.fixture
    async def backend(self, tmp_path: Path) -> BlobBackend:
        return FailingBackend(PausingBackend(RetryingBackend(BoundedBackend(LocalBackend(tmp_path / "blobs"), 1), 0)))


async def listed(backend: BlobBackend) -> list[BlobEntry]:
    return sorted([entry async for entry in backend.entries()])


def bare(backend: BlobBackend) -> BlobBackend:
    """The backend within its wrappers."""
    while isinstance(backend, BackendWrapper):
        backend = backend.inner
    return backend


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --- URLs


@pytest.mark.parametrize("url", ["{}", "file://{}", "FILE://{}", "local://{}", "file://localhost{}"])
async def test_a_folder_has_several_spellings(url: str, tmp_path: Path) -> None:
    backend = open_backend(url.format(tmp_path / "blobs"))
    await backend.put(KEY, b"content")
    assert files_in(tmp_path) == [f"blobs/{KEY}"]
    assert backend.url == f"file://{tmp_path}/blobs"


async def test_a_url_made_by_pathlib_is_that_folder(tmp_path: Path) -> None:
    await open_backend((tmp_path / "my blobs").as_uri()).put(KEY, b"content")
    assert files_in(tmp_path) == [f"my blobs/{KEY}"]


async def test_a_relative_folder_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    backend = open_backend("blobs")
    monkeypatch.chdir(tmp_path / "elsewhere")
    await backend.put(KEY, b"content")
    assert files_in(tmp_path) == [f"blobs/{KEY}"]


async def test_a_folder_in_the_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    await open_backend("~/blobs").put(KEY, b"content")
    assert files_in(tmp_path) == [f"blobs/{KEY}"]


def test_opening_needs_no_loop_and_connects_to_nothing(s3: S3Server, bucket: str) -> None:
    s3.take_requests()
    backend = open_backend(s3.bucket_url(bucket))
    assert s3.take_requests() == {}
    assert isinstance(bare(backend), FsspecBackend)
    asyncio.run(backend.close())
    assert s3.take_requests() == {}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("blobs\0", "NUL"),
        ("file://", "names no folder"),
        ("nonsense://place", "'nonsense'"),
        ("simplecache::s3://bucket/prefix", "chains"),
        ("s3//KEY:hunter2@bucket", "looks like s3://"),
        ("s3///bucket", "looks like s3://"),
        ("s3:/bucket", "looks like s3://"),
        ("s3:bucket/prefix", "looks like s3://"),
        ("S3:/bucket/prefix?endpoint_url=http://host", "looks like s3://"),
        (" s3a:/bucket", "looks like s3a://"),
        ("file:/folder", "looks like file://"),
        ("sftp//host/folder", "looks like sftp://"),
        ("ftp://host:no-port/prefix", "ftp:// URL can't be read"),
        ("s3://", "no bucket"),
        ("s3:///prefix", "no bucket"),
        ("s3://not a bucket/prefix", "no bucket's name"),
        ("s3://bucket/prefix?regoin=eu-central-1", "'regoin'; the known ones are addressing_style, anon, endpoint_url, profile, region"),
        ("s3://bucket/prefix?region=", "without a value"),
        ("s3://bucket/prefix?region=a&region=b", "twice"),
        ("s3://bucket/prefix?anon=perhaps", "anon"),
        ("s3://bucket/prefix?addressing_style=mine", "addressing_style"),
        ("s3://bucket/prefix?endpoint_url=localhost:9000", "endpoint_url"),
        ("memory://prefix?ttl=1", "parameters"),
    ],
)
def test_a_url_that_cannot_work_is_refused(url: str, said: str) -> None:
    with pytest.raises(InvalidUrl) as caught:
        open_backend(url)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"s3://AKIAKEY:{SECRET}@bucket/prefix",
        f"s3://AKIAKEY:a/{SECRET}@bucket/prefix",
        f"s3://AKIAKEY:a?{SECRET}@bucket/prefix",
        f"s3://AKIAKEY:{SECRET}/bucket",
        f"s3://bucket/prefix?key=AKIAKEY&secret={SECRET}",
        f"s3://bucket/prefix?aws_secret_access_key={SECRET}",
        f"s3://bucket/prefix?region=eu&AWS_SESSION_TOKEN={SECRET}",
        f"s3://bucket/prefix?endpoint_url=http://user:{SECRET}@host:9000",
        f"s3://bucket/prefix?{SECRET}",
        f"memory://user:{SECRET}@host/prefix",
        f"sftp://user:{SECRET}@host/prefix",
        f"ftp://user:{SECRET}",
        f"ftp://user:{SECRET}/prefix",
        f"ftp://[{SECRET}",
        f"ftp://host.\u2100{SECRET}/prefix",
        f"s3://bucket/prefix?endpoint_url=http://[{SECRET}",
        f"s3://bucket/prefix?endpoint_url=http://\u2100{SECRET}",
        f"s3//AKIAKEY:{SECRET}@bucket",
        f"s3:/AKIAKEY:{SECRET}@bucket/prefix",
        f"S3:AKIAKEY:{SECRET}@bucket/prefix",
    ],
)
def test_a_secret_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidUrl) as caught:
        open_backend(url)
    shown = "".join(traceback.format_exception(caught.value, limit=0))
    assert SECRET not in shown
    assert SECRET.lower() not in shown
    assert "AKIAKEY" not in shown


@pytest.mark.parametrize("url", ["s3://bucket/a:b/me@x", "s3://bucket/a@b:c@d", "memory://prefix/a:b@c"])
def test_a_path_may_hold_what_would_part_a_password(url: str) -> None:
    assert open_backend(url).url == url


@pytest.mark.parametrize("path", ["s3/blobs", "data//blobs", "dir//blobs", "./s3:/blobs", "my-s3//blobs", "c:/blobs"])
async def test_a_folder_that_is_called_like_a_scheme_is_a_folder(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await open_backend(path).put(KEY, b"content")
    assert files_in(tmp_path) == [str(Path(path, KEY))]


def test_where_credentials_belong_is_said() -> None:
    with pytest.raises(InvalidUrl, match="AWS_ACCESS_KEY_ID"):
        open_backend(f"s3://AKIAKEY:{SECRET}@bucket/prefix")
    with pytest.raises(InvalidUrl, match="AWS_ACCESS_KEY_ID"):
        open_backend(f"s3://bucket/prefix?secret={SECRET}")


def test_settings_do_not_show_their_options() -> None:
    assert SECRET not in repr(BlobSettings(options={"secret": SECRET}))


@pytest.mark.parametrize(
    "wrong", [{"max_parallel": 0}, {"retry_seconds": -1}, {"part_bytes": 1024}, {"cache_bytes": -1}, {"cache_folder_bytes": -1}]
)
def test_settings_that_could_never_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BlobSettings(**wrong)


def test_s3_parameters_become_options(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    class Recorded:
        def __init__(self, **options: Any) -> None:
            seen.update(options)
            raise OSError("that was all")

    monkeypatch.setattr(fsspec, "get_filesystem_class", lambda _: Recorded)
    url = "s3://bucket/p?endpoint_url=http://host:9000&region=eu-west-1&profile=mine&anon=true&addressing_style=path&use_ssl=false"
    options = {"config_kwargs": {"read_timeout": 1}, "default_block_size": 7}
    backend = open_backend(url, BlobSettings(retry_seconds=0, options=options))
    with pytest.raises(BlobUnavailable):
        asyncio.run(backend.get(KEY))
    assert seen["endpoint_url"] == "http://host:9000"
    assert seen["client_kwargs"] == {"region_name": "eu-west-1"}
    assert (seen["profile"], seen["anon"], seen["use_ssl"], seen["default_block_size"]) == ("mine", True, False, 7)
    assert seen["config_kwargs"]["s3"] == {"addressing_style": "path"}
    assert seen["config_kwargs"]["read_timeout"] == 1
    assert seen["config_kwargs"]["retries"]["total_max_attempts"] == 2


@pytest.mark.parametrize(
    ("scheme", "module", "command"),
    [("s3", "s3fs", "pip install 'ckptstore[s3]'"), ("abfs", "adlfs", "pip install adlfs")],
)
def test_a_missing_package_is_named(scheme: str, module: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # By its module's name in `sys.modules`: in the package, a mapping of the same name hides it.
    monkeypatch.delitem(sys.modules["fsspec.registry"].__dict__["_registry"], scheme, raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDriver) as caught:
        open_backend(f"{scheme}://bucket/prefix")
    assert command in str(caught.value)


# --- keys


@given(st.text())
def test_no_key_leaves_the_folder(text: str) -> None:
    inside = os.path.normpath(f"/store/{text}").startswith("/store/") and "\0" not in text
    assert not is_object_key(text) or inside


@given(st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True))
def test_a_file_that_is_being_written_has_no_keys_name(name: str) -> None:
    assert is_object_key(name)
    assert not is_object_key(temporary_name(name))
    assert temporary_name(name) != temporary_name(name)


# --- local


class Killed(BaseException):
    """The process ends here."""


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
    for call in (lambda: backend.put(KEY, b"content"), lambda: backend.put_file(KEY, tmp_path / "source")):
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
    assert await backend.get(KEY) == b"content"


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
    await backend.get(KEY)
    assert len(hops) == 2


async def test_a_file_where_the_folder_should_be_is_no_passing_fault(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_bytes(b"not a folder")
    backend = open_backend(tmp_path / "blobs")
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: backend.put(KEY, b"content"), lambda: backend.get(KEY), lambda: backend.delete(KEY), lambda: listed(backend),
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
    for call in (lambda: backend.put(KEY, b"content"), lambda: backend.put_file(KEY, tmp_path / "source")):
        with pytest.raises(BlobUnavailable, match="No such file") as caught:
            await call()
        assert not caught.value.transient
    with pytest.raises(BlobMissing):
        await backend.get(KEY)


@pytest.mark.parametrize("operation", ["put", "put_file"])
async def test_a_folder_that_goes_during_a_put_is_not_a_missing_blob(
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


async def test_a_place_that_goes_during_a_put_elsewhere_is_not_a_missing_blob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.register_implementation("plainfiles", PlainFiles, clobber=True)
    (tmp_path / "source").write_bytes(b"content")
    backend = open_backend(f"plainfiles://{tmp_path}/blobs", BlobSettings(retry_seconds=60))

    def gone(_fs: Any, _source: str, target: str) -> None:
        raise FileNotFoundError(target)

    monkeypatch.setattr(PlainFiles, "mv", gone)
    for call in (lambda: backend.put(KEY, b"content"), lambda: backend.put_file(KEY, tmp_path / "source")):
        with pytest.raises(BlobUnavailable) as caught:
            await call()
        assert not caught.value.transient


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_read_only_folder_is_said(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o500)
    with pytest.raises(BlobUnavailable, match="Permission denied") as caught:
        await LocalBackend(tmp_path).put(KEY, b"content")
    assert not caught.value.transient


# --- memory


async def test_the_memory_of_a_process_is_shared_by_its_backends(tmp_path: Path) -> None:
    prefix = f"memory://shared/{next(_numbers)}"
    first, second, other = open_backend(prefix), open_backend(prefix), open_backend(f"{prefix}-other")
    await first.put(KEY, b"content")
    await first.close()
    assert await second.get(KEY) == b"content"
    assert await listed(other) == []


async def test_a_file_in_memory_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source").write_bytes(b"content")
    monkeypatch.setattr(MemoryFileSystem, "put_file", None)
    backend = open_backend(f"memory://whole/{next(_numbers)}")
    await backend.put_file(KEY, tmp_path / "source")
    assert await backend.get(KEY) == b"content"


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


# --- S3


async def test_each_operation_in_s3_is_one_request(s3: S3Server, s3_backend: BlobBackend, tmp_path: Path) -> None:
    s3.take_requests()
    await s3_backend.put(KEY, os.urandom(5_000_000))
    assert s3.take_requests() == {"PUT": 1}
    await s3_backend.get(KEY)
    assert s3.take_requests() == {"GET": 1}
    assert await s3_backend.size(KEY) == 5_000_000
    assert s3.take_requests() == {"HEAD": 1}
    await s3_backend.get_file(KEY, tmp_path / "target")
    assert s3.take_requests() == {"GET": 1}
    await s3_backend.put_file(KEY, tmp_path / "target")
    assert s3.take_requests() == {"PUT": 1}
    await listed(s3_backend)
    assert s3.take_requests() == {"LIST": 1}
    await s3_backend.delete(KEY)
    assert s3.take_requests() == {"DELETE": 1}


async def test_the_first_operation_asks_no_more_than_the_others(s3: S3Server, s3_backend: BlobBackend) -> None:
    s3.take_requests()
    await s3_backend.put(KEY, b"content")
    assert s3.take_requests() == {"PUT": 1}


async def test_a_large_put_in_s3_is_still_one_request(s3: S3Server, s3_backend: BlobBackend) -> None:
    content = bytes(101 * 1024 * 1024)
    s3.take_requests()
    await s3_backend.put(KEY, content)
    assert s3.take_requests() == {"PUT": 1}
    assert await s3_backend.size(KEY) == len(content)


async def test_a_large_get_in_s3_is_still_one_request(s3: S3Server, s3_backend: BlobBackend) -> None:
    content = os.urandom(51 * 1024 * 1024)
    await s3_backend.put(KEY, content)
    s3.take_requests()
    assert await s3_backend.get(KEY) == content
    assert s3.take_requests() == {"GET": 1}


async def test_a_large_file_goes_to_s3_in_parts(s3: S3Server, s3_backend: BlobBackend, tmp_path: Path) -> None:
    content = os.urandom(20 * 1024 * 1024)
    (tmp_path / "source").write_bytes(content)
    s3.take_requests()
    await s3_backend.put_file(KEY, tmp_path / "source")
    assert s3.take_requests() == {"POST": 2, "PUT": 3}
    await s3_backend.get_file(KEY, tmp_path / "target")
    assert s3.take_requests() == {"GET": 1}
    assert (tmp_path / "target").read_bytes() == content


async def test_a_listing_in_s3_comes_in_pages(s3: S3Server, bucket: str, s3_backend: BlobBackend) -> None:
    client = boto3.client("s3", endpoint_url=s3.url)
    for number in range(1_001):
        client.put_object(Bucket=bucket, Key=f"blobs/ab/{number:04d}", Body=b"")
    client.put_object(Bucket=bucket, Key="blobs-of-somebody-else/ab/0000", Body=b"")
    s3.take_requests()
    assert [key for key, _ in await listed(s3_backend)] == [f"ab/{number:04d}" for number in range(1_001)]
    assert s3.take_requests() == {"LIST": 2}


async def test_a_listing_that_is_left_early_leaves_nothing_open(s3_backend: BlobBackend) -> None:
    for name in ("ab/first", "ab/second"):
        await s3_backend.put(name, b"content")
    async for key, _ in s3_backend.entries():
        assert key == "ab/first"
        break
    assert await s3_backend.get("ab/second") == b"content"


async def test_a_bucket_without_a_prefix_will_do(s3: S3Server, bucket: str) -> None:
    backend = open_backend(f"s3://{bucket}?endpoint_url={s3.url}")
    await backend.put(KEY, b"content")
    assert await listed(backend) == [BlobEntry(KEY, 7)]
    await backend.close()


def test_memory_does_not_grow_with_a_file_in_s3(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(bytes(64 * 1024 * 1024))
    program = """
import asyncio, pathlib, sys, tracemalloc
from ckptstore.blobs.settings import BlobSettings
from ckptstore.blobs.backends.open import open_backend

async def main(url, folder):
    backend = open_backend(url, BlobSettings(part_bytes=5 * 1024 * 1024))
    await backend.put("ab/warm", b"")
    tracemalloc.start()
    await backend.put_file("ab/large", folder / "source")
    await backend.get_file("ab/large", folder / "target")
    print(tracemalloc.get_traced_memory()[1])
    await backend.close()

asyncio.run(main(sys.argv[1], pathlib.Path(sys.argv[2])))
"""
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", program, s3.bucket_url(bucket), str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert (tmp_path / "target").stat().st_size == 64 * 1024 * 1024
    assert int(done.stdout) < 32 * 1024 * 1024


# --- faults of S3


@pytest.mark.parametrize("operation", ["put", "get", "size", "delete", "entries"])
async def test_a_missing_bucket_is_named(operation: str, s3: S3Server) -> None:
    backend = open_backend(s3.bucket_url("nowhere"), BlobSettings(retry_seconds=60))
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "put": lambda: backend.put(KEY, b"content"), "get": lambda: backend.get(KEY), "size": lambda: backend.size(KEY),
        "delete": lambda: backend.delete(KEY), "entries": lambda: listed(backend),
    }  # fmt: skip
    with pytest.raises(BlobUnavailable, match="no bucket nowhere") as caught:
        await calls[operation]()
    assert not caught.value.transient
    await backend.close()


@pytest.mark.parametrize(
    ("status", "code", "transient"),
    [
        ("503 Slow Down", "SlowDown", True),
        ("503 Service Unavailable", "ServiceUnavailable", True),
        ("500 Internal Server Error", "InternalError", True),
        ("502 Bad Gateway", "SomethingNew", True),
        ("429 Too Many Requests", "TooManyRequests", True),
        ("400 Bad Request", "RequestTimeout", True),
        ("400 Bad Request", "InvalidRequest", False),
        ("403 Forbidden", "AccessDenied", False),
        ("403 Forbidden", "SignatureDoesNotMatch", False),
        ("403 Forbidden", "InvalidAccessKeyId", False),
        ("400 Bad Request", "ExpiredToken", False),
    ],
)
async def test_what_s3_answers_is_translated(status: str, code: str, transient: bool, s3: S3Server, s3_backend: BlobBackend) -> None:
    s3.answer(status, code, times=2 if code in ("SlowDown", "RequestTimeout") else 1)
    with pytest.raises(BlobUnavailable, match=code) as caught:
        await s3_backend.get(KEY)
    assert caught.value.transient is transient
    assert ("AWS_ACCESS_KEY_ID" in str(caught.value)) is (status.startswith("403") or code == "ExpiredToken")
    assert s3_backend.url in str(caught.value)


async def test_a_fault_that_passes_is_not_seen(s3: S3Server, bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    options = {"config_kwargs": {"retries": {"total_max_attempts": 1}}}
    backend = open_backend(s3.bucket_url(bucket), BlobSettings(retry_seconds=60, options=options))
    s3.answer("500 Internal Server Error", "InternalError", times=2)
    with caplog.at_level(logging.WARNING, "ckptstore.blobs"):
        await backend.put(KEY, b"content")
    assert await backend.get(KEY) == b"content"
    assert [record.__dict__["event"] for record in caplog.records] == ["blob_retry", "blob_retry"]
    await backend.close()


async def test_one_failed_part_does_not_begin_the_upload_again(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(os.urandom(20 * 1024 * 1024))
    backend = open_backend(s3.bucket_url(bucket), ONCE)
    await backend.put("ab/warm", b"")
    s3.take_requests()
    s3.answer("500 Internal Server Error", "InternalError")
    await backend.put_file(KEY, tmp_path / "source")
    assert s3.take_requests() == {"POST": 3, "PUT": 3}
    await backend.close()


async def test_a_wrong_endpoint_may_pass_and_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        backend = open_backend(f"s3://bucket/prefix?endpoint_url=http://127.0.0.1:{port}&anon=true&region=us-east-1", ONE_REQUEST)
        with pytest.raises(BlobUnavailable, match=f"127.0.0.1:{port}") as caught:
            await backend.put(KEY, b"content")
        assert caught.value.transient
        await backend.close()


async def test_an_endpoint_with_a_password_is_named_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:{SECRET}@127.0.0.1:{taken.getsockname()[1]}")
        backend = open_backend("s3://bucket/prefix?anon=true&region=us-east-1", ONE_REQUEST)
        with pytest.raises(BlobUnavailable, match=r"127\.0\.0\.1") as caught:
            await backend.put(KEY, b"content")
        assert SECRET not in str(caught.value)
        await backend.close()


async def test_what_others_delete_is_seen_to_be_gone(s3: S3Server, bucket: str, s3_backend: BlobBackend) -> None:
    await s3_backend.put(KEY, b"content")
    assert await listed(s3_backend) == [BlobEntry(KEY, 7)]
    boto3.client("s3", endpoint_url=s3.url).delete_object(Bucket=bucket, Key=f"blobs/{KEY}")
    assert await s3_backend.size(KEY) is None
    assert await listed(s3_backend) == []


async def test_no_credentials_at_all_are_said(s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    backend = open_backend(s3.bucket_url(bucket), BlobSettings(retry_seconds=60))
    with pytest.raises(BlobUnavailable, match="AWS_ACCESS_KEY_ID") as caught:
        await backend.put(KEY, b"content")
    assert not caught.value.transient
    await backend.close()


async def test_an_unknown_profile_is_said(s3: S3Server, bucket: str) -> None:
    backend = open_backend(f"{s3.bucket_url(bucket)}&profile=nobody", BlobSettings(retry_seconds=60))
    with pytest.raises(BlobUnavailable, match="ProfileNotFound"):
        await backend.put(KEY, b"content")
    await backend.close()


async def test_no_message_holds_a_secret(s3: S3Server, bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    options = {"key": "AKIAKEY", "secret": SECRET, **ONE_REQUEST.options}
    backend = open_backend(s3.bucket_url(bucket), BlobSettings(retry_seconds=0, options=options))
    said: list[str] = [backend.url]
    with caplog.at_level(logging.DEBUG, "ckptstore"):
        for status, code in [("403 Forbidden", "SignatureDoesNotMatch"), ("500 Internal Server Error", "InternalError")]:
            s3.answer(status, code)
            with pytest.raises(BlobUnavailable) as caught:
                await backend.put(KEY, b"content")
            said.append(str(caught.value))
        with pytest.raises(BlobMissing) as missing:
            await backend.get(KEY)
        said.append(str(missing.value))
    await backend.close()
    text = "\n".join([*said, caplog.text])
    assert SECRET not in text
    assert "AKIAKEY" not in text


async def test_a_defect_of_ours_is_not_called_a_fault_of_the_backend(tmp_path: Path) -> None:
    for backend in (open_backend(tmp_path), open_backend("memory://defects")):
        with pytest.raises(TypeError):
            await backend.put(KEY, "text")  # type: ignore[arg-type]


# --- retries and parallelism


def retrying(tmp_path: Path, seconds: float) -> tuple[RetryingBackend, FailingBackend]:
    failing = FailingBackend(LocalBackend(tmp_path / "blobs"))
    return RetryingBackend(failing, seconds), failing


async def test_passing_faults_are_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    backend, failing = retrying(tmp_path, 60)
    (tmp_path / "source").write_bytes(b"from a file")
    for operation in ("put", "put_file", "get", "get_file", "size", "delete", "entries"):
        failing.fail(operation, BlobUnavailable("lost"), times=2)
    with caplog.at_level(logging.WARNING):
        await backend.put(KEY, b"content")
        await backend.put_file("ab/file", tmp_path / "source")
        assert await backend.get(KEY) == b"content"
        await backend.get_file(KEY, tmp_path / "target")
        assert await backend.size(KEY) == 7
        await backend.delete(KEY)
        assert await listed(backend) == [BlobEntry("ab/file", 11)]
    assert (tmp_path / "target").read_bytes() == b"content"
    assert Counter((r.__dict__["event"], r.__dict__["operation"]) for r in caplog.records) == Counter(
        {("blob_retry", name): 2 for name in ("put", "put_file", "get", "get_file", "size", "delete", "entries")}
    )


async def test_an_answer_that_was_lost_does_no_harm(tmp_path: Path) -> None:
    backend, failing = retrying(tmp_path, 60)
    for operation in ("put", "delete"):
        failing.fail(operation, BlobUnavailable("lost"), after=True)
    await backend.put(KEY, b"content")
    assert await listed(backend) == [BlobEntry(KEY, 7)]
    await backend.delete(KEY)
    assert await listed(backend) == []
    assert (failing.calls["put"], failing.calls["delete"]) == (2, 2)


@pytest.mark.parametrize(
    "error", [BlobUnavailable("full", transient=False), BlobMissing("gone"), KeyboardInterrupt(), ValueError("defect")]
)
async def test_other_faults_are_raised_at_once(error: BaseException, tmp_path: Path) -> None:
    backend, failing = retrying(tmp_path, 60)
    failing.fail("get", error, times=99)
    with pytest.raises(type(error)):
        await backend.get(KEY)
    assert failing.calls["get"] == 1


async def test_retries_are_bounded(tmp_path: Path) -> None:
    backend, failing = retrying(tmp_path, 0.2)
    failing.fail("get", BlobUnavailable("lost"), times=1_000_000)
    with pytest.raises(BlobUnavailable, match="lost"):
        await backend.get(KEY)
    assert 1 < failing.calls["get"] < 1_000_000


async def test_no_seconds_for_retries_means_one_attempt(tmp_path: Path) -> None:
    backend, failing = retrying(tmp_path, 0)
    failing.fail("get", BlobUnavailable("lost"))
    with pytest.raises(BlobUnavailable):
        await backend.get(KEY)
    assert failing.calls["get"] == 1


async def test_a_listing_that_breaks_midway_is_not_called_complete(tmp_path: Path) -> None:
    backend, failing = retrying(tmp_path, 60)
    for number in range(3):
        await backend.put(f"ab/{number}", b"content")
    failing.fail("entries", BlobUnavailable("lost"), on_call=3)
    entries = backend.entries()
    assert {await anext(entries), await anext(entries)} <= {BlobEntry(f"ab/{number}", 7) for number in range(3)}
    with pytest.raises(BlobUnavailable):
        await anext(entries)


class Counting(BackendWrapper):
    """Knows how many operations are under way; none ends before `full` of them are, or all have begun."""

    def __init__(self, inner: BlobBackend, full: int) -> None:
        super().__init__(inner)
        self.most = self._now = 0
        self._barrier = asyncio.Barrier(full)

    async def around(self, operation: str, key: str | None, call: Callable[[], Awaitable[T]]) -> T:
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await self._barrier.wait()
            return await call()
        finally:
            self._now -= 1


async def test_as_many_operations_run_as_allowed_and_no_more(tmp_path: Path) -> None:
    counting = Counting(LocalBackend(tmp_path), full=3)
    backend = BoundedBackend(counting, 3)
    async with asyncio.timeout(30):
        await asyncio.gather(*[backend.put(f"ab/{number}", b"content") for number in range(12)])
    assert counting.most == 3


def test_what_is_opened_is_bounded_and_retried(tmp_path: Path) -> None:
    backend = open_backend(tmp_path, BlobSettings(max_parallel=3))
    assert isinstance(backend, RetryingBackend)
    assert isinstance(backend.inner, BoundedBackend)
    assert isinstance(backend.inner.inner, LocalBackend)


async def test_waiting_for_a_retry_takes_nobodys_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = FailingBackend(LocalBackend(tmp_path))
    backend = RetryingBackend(BoundedBackend(failing, 1), 60)
    waiting, go_on = asyncio.Event(), asyncio.Event()

    async def wait(*_: Any) -> None:
        waiting.set()
        await go_on.wait()

    monkeypatch.setattr(asyncio, "sleep", wait)
    failing.fail("put", BlobUnavailable("lost"))
    failed = asyncio.create_task(backend.put("ab/failed", b"content"))
    async with asyncio.timeout(30):
        await waiting.wait()
        await backend.put("ab/other", b"content")
        go_on.set()
        await failed
    assert [key for key, _ in await listed(backend)] == ["ab/failed", "ab/other"]


# --- what is logged


async def test_operations_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for backend in (open_backend(tmp_path / "blobs"), open_backend(f"memory://logged/{next(_numbers)}")):
        caplog.clear()
        with caplog.at_level(logging.DEBUG, "ckptstore.blobs"):
            await backend.put(KEY, b"content")
            await backend.get(KEY)
            await backend.delete(KEY)
        events = [(r.levelname, r.__dict__["event"], r.__dict__["key"], r.__dict__["bytes"]) for r in caplog.records]
        assert events == [("INFO", "blob_put", KEY, 7), ("DEBUG", "blob_get", KEY, 7), ("DEBUG", "blob_deleted", KEY, 0)]
        assert all(r.__dict__["seconds"] >= 0 for r in caplog.records)


async def test_the_progress_of_a_large_file_is_logged(s3_backend: BlobBackend, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    size = 130 * 1024 * 1024
    await asyncio.to_thread((tmp_path / "source").touch)
    os.truncate(tmp_path / "source", size)
    for backend in (open_backend(tmp_path / "blobs"), s3_backend):
        for call in (backend.put_file(KEY, tmp_path / "source"), backend.get_file(KEY, tmp_path / "target")):
            caplog.clear()
            with caplog.at_level(logging.INFO, "ckptstore.blobs"):
                await call
            progress = [r.__dict__ for r in caplog.records if r.__dict__["event"] == "blob_progress"]
            assert 1 <= len(progress) <= 2
            assert all((each["key"], each["total"]) == (KEY, size) and 0 < each["bytes"] <= size for each in progress)


async def test_bytes_of_files_are_logged_where_the_file_system_reports_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fsspec.register_implementation("plainfiles", PlainFiles, clobber=True)
    backend = open_backend(f"plainfiles://{tmp_path}/blobs")
    await backend.put("ab/source", b"content")
    with caplog.at_level(logging.DEBUG, "ckptstore.blobs"):
        await backend.put_file(KEY, tmp_path / "blobs" / "ab" / "source")
        await backend.get_file(KEY, tmp_path / "target")
    assert [(r.__dict__["event"], r.__dict__["bytes"]) for r in caplog.records] == [("blob_put", 7), ("blob_get", 7)]


# --- the shipped tools


def test_a_backend_is_stopped_and_released_from_another_thread(tmp_path: Path) -> None:
    backend = PausingBackend(LocalBackend(tmp_path))
    for after, there in ((False, []), (True, [BlobEntry(KEY, 7)])):
        with backend.pause("put", after=after) as pause:
            writer = threading.Thread(target=lambda: asyncio.run(backend.put(KEY, b"content")))
            writer.start()
            assert pause.reached.wait(30)
            assert pause.key == KEY
            assert asyncio.run(listed(backend)) == there
        writer.join(30)
        assert asyncio.run(listed(backend)) == [BlobEntry(KEY, 7)]
        asyncio.run(backend.delete(KEY))


@pytest.mark.parametrize(("after", "there"), [(False, []), (True, [BlobEntry(KEY, 7)])])
async def test_a_stopped_backend_is_killed_there(after: bool, there: list[BlobEntry], tmp_path: Path) -> None:
    backend = PausingBackend(LocalBackend(tmp_path))
    pause = backend.pause("put", after=after)
    pause.kill(Killed())
    with pytest.raises(Killed):
        await backend.put(KEY, b"content")
    assert await listed(backend) == there


async def test_pauses_are_used_in_turn(tmp_path: Path) -> None:
    backend = PausingBackend(LocalBackend(tmp_path))
    first, second = backend.pause("put"), backend.pause("put")
    first.release()
    await backend.put(KEY, b"content")
    assert first.reached.is_set()
    assert not second.reached.is_set()


@pytest.mark.parametrize(("after", "there"), [(False, []), (True, [BlobEntry("ab/2", 7)])])
async def test_the_nth_call_fails(after: bool, there: list[BlobEntry], tmp_path: Path) -> None:
    backend = FailingBackend(LocalBackend(tmp_path))
    backend.fail("put", Killed(), on_call=2, after=after)
    await backend.put("ab/1", b"content")
    with pytest.raises(Killed):
        await backend.put("ab/2", b"content")
    await backend.put("ab/3", b"content")
    assert await listed(backend) == sorted([BlobEntry("ab/1", 7), BlobEntry("ab/3", 7), *there])
