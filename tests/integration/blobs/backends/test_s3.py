"""Blobs in S3, over HTTP, against a server of ours."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import boto3
import fsspec
import pytest

from ckptstore.blobs.backends.fsspec_backend import FsspecBackend
from ckptstore.blobs.backends.open import open_backend
from ckptstore.blobs.backends.protocol import BlobBackend, BlobEntry
from ckptstore.blobs.settings import BlobSettings
from ckptstore.errors import BlobCorrupt, BlobUnavailable
from ckptstore.testing import BlobBackendConformance
from tests.support.blob_backends import ENOUGH, KEY, bare, listed
from tests.support.s3 import S3Server


class TestS3(BlobBackendConformance):
    # moto runs in this process; `test_memory_does_not_grow_with_a_file_in_s3` measures a client of its own.
    stores_outside_process = False

    @pytest.fixture
    async def backend(self, s3: S3Server, bucket: str) -> AsyncIterator[BlobBackend]:
        backend = open_backend(s3.bucket_url(bucket), BlobSettings(part_bytes=5 * 1024 * 1024))
        yield backend
        await backend.close()


def test_opening_needs_no_loop_and_connects_to_nothing(s3: S3Server, bucket: str) -> None:
    s3.take_requests()
    backend = open_backend(s3.bucket_url(bucket))
    assert s3.take_requests() == {}
    assert isinstance(bare(backend), FsspecBackend)
    asyncio.run(backend.close())
    assert s3.take_requests() == {}


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
        asyncio.run(backend.get(KEY, ENOUGH))
    assert seen["endpoint_url"] == "http://host:9000"
    assert seen["client_kwargs"] == {"region_name": "eu-west-1"}
    assert (seen["profile"], seen["anon"], seen["use_ssl"], seen["default_block_size"]) == ("mine", True, False, 7)
    assert seen["config_kwargs"]["s3"] == {"addressing_style": "path"}
    assert seen["config_kwargs"]["read_timeout"] == 1
    assert seen["config_kwargs"]["retries"]["total_max_attempts"] == 2


async def test_each_operation_in_s3_is_one_request(s3: S3Server, s3_backend: BlobBackend, tmp_path: Path) -> None:
    s3.take_requests()
    await s3_backend.put(KEY, os.urandom(5_000_000))
    assert s3.take_requests() == {"PUT": 1}
    await s3_backend.get(KEY, ENOUGH)
    assert s3.take_requests() == {"GET": 1}
    assert await s3_backend.size(KEY) == 5_000_000
    assert s3.take_requests() == {"HEAD": 1}
    await s3_backend.get_file(KEY, tmp_path / "target", ENOUGH)
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
    assert await s3_backend.get(KEY, ENOUGH) == content
    assert s3.take_requests() == {"GET": 1}


def test_a_file_that_is_refused_leaves_no_connection_open(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    async def refuse() -> None:
        backend = open_backend(s3.bucket_url(bucket), BlobSettings())
        await backend.put(KEY, bytes(3_000_000))
        for read in (backend.get(KEY, 5), backend.get_file(KEY, tmp_path / "target", 5)):
            with pytest.raises(BlobCorrupt):
                await read
        await backend.close()

    asyncio.run(refuse())
    # A connection that nobody closed warns when it is collected, and pytest makes an error of that.
    gc.collect()


async def test_a_large_file_is_uploaded_in_parts(s3: S3Server, s3_backend: BlobBackend, tmp_path: Path) -> None:
    content = os.urandom(20 * 1024 * 1024)
    (tmp_path / "source").write_bytes(content)
    s3.take_requests()
    await s3_backend.put_file(KEY, tmp_path / "source")
    assert s3.take_requests() == {"POST": 2, "PUT": 3}
    await s3_backend.get_file(KEY, tmp_path / "target", ENOUGH)
    assert s3.take_requests() == {"GET": 1}
    assert (tmp_path / "target").read_bytes() == content


async def test_a_listing_in_s3_comes_in_pages(s3: S3Server, bucket: str, s3_backend: BlobBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    # What the server gives in one answer, where S3 gives a thousand.
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "20")
    client = boto3.client("s3", endpoint_url=s3.url)
    for number in range(21):
        client.put_object(Bucket=bucket, Key=f"blobs/ab/{number:04d}", Body=b"")
    client.put_object(Bucket=bucket, Key="blobs-of-somebody-else/ab/0000", Body=b"")
    s3.take_requests()
    assert [key for key, _ in await listed(s3_backend)] == [f"ab/{number:04d}" for number in range(21)]
    assert s3.take_requests() == {"LIST": 2}


async def test_a_listing_that_is_left_early_leaves_nothing_open(s3_backend: BlobBackend) -> None:
    for name in ("ab/first", "ab/second"):
        await s3_backend.put(name, b"content")
    async for key, _ in s3_backend.entries():
        assert key == "ab/first"
        break
    assert await s3_backend.get("ab/second", ENOUGH) == b"content"


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
    await backend.get_file("ab/large", folder / "target", 64 * 1024 * 1024)
    print(tracemalloc.get_traced_memory()[1])
    await backend.close()

asyncio.run(main(sys.argv[1], pathlib.Path(sys.argv[2])))
"""
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", program, s3.bucket_url(bucket), str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert (tmp_path / "target").stat().st_size == 64 * 1024 * 1024
    assert int(done.stdout) < 32 * 1024 * 1024


async def test_the_progress_of_a_large_file_is_logged(s3_backend: BlobBackend, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    size = 130 * 1024 * 1024
    await asyncio.to_thread((tmp_path / "source").touch)
    os.truncate(tmp_path / "source", size)
    for backend in (open_backend(tmp_path / "blobs"), s3_backend):
        for call in (backend.put_file(KEY, tmp_path / "source"), backend.get_file(KEY, tmp_path / "target", 3 * ENOUGH)):
            caplog.clear()
            with caplog.at_level(logging.INFO, "ckptstore.blobs"):
                await call
            progress = [r.__dict__ for r in caplog.records if r.__dict__["event"] == "blob_progress"]
            assert 1 <= len(progress) <= 2
            assert all((each["key"], each["total"]) == (KEY, size) and 0 < each["bytes"] <= size for each in progress)


async def test_multipart_uploads_that_were_left_are_aborted(s3: S3Server, bucket: str, s3_backend: BlobBackend) -> None:
    client = boto3.client("s3", endpoint_url=s3.url, region_name="us-east-1")

    def uploads() -> list[str]:
        return [upload["Key"] for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())]

    def begin(key: str) -> None:
        client.create_multipart_upload(Bucket=bucket, Key=key)

    await s3_backend.put(KEY, b"content")
    for key in (f"blobs/{KEY}", "blobs/ab/another", "theirs", "blobs/.theirs"):
        await asyncio.to_thread(begin, key)
    # Ours began years ago, by the server's clock.
    assert await s3_backend.delete_unfinished(100 * 365 * 86_400, dry_run=False) == 0
    assert await s3_backend.delete_unfinished(3600, dry_run=True) == 2
    assert await s3_backend.delete_unfinished(3600, dry_run=False) == 2
    assert await asyncio.to_thread(uploads) == ["theirs", "blobs/.theirs"]
    assert await s3_backend.get(KEY, ENOUGH) == b"content"
