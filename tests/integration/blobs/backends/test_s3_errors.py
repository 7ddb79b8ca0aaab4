"""What S3 answers, as the store's own errors."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.blobs.backends.open import open_backend
from ckptstore.blobs.backends.protocol import BlobBackend, BlobEntry
from ckptstore.blobs.settings import BlobSettings
from ckptstore.errors import BlobCorrupt, BlobMissing, BlobUnavailable
from tests.support.blob_backends import ENOUGH, KEY, ONCE, ONE_REQUEST, SECRET, listed
from tests.support.build import config, put
from tests.support.s3 import S3Server


@pytest.mark.parametrize("operation", ["put", "get", "size", "delete", "entries"])
async def test_a_missing_bucket_is_named(operation: str, s3: S3Server) -> None:
    backend = open_backend(s3.bucket_url("nowhere"), BlobSettings(retry_seconds=60))
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "put": lambda: backend.put(KEY, b"content"), "get": lambda: backend.get(KEY, ENOUGH), "size": lambda: backend.size(KEY),
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
        ("400 Bad Request", "XAmzContentSHA256Mismatch", True),
        ("501 Not Implemented", "NotImplemented", False),
        ("507 Insufficient Storage", "XMinioStorageFull", False),
    ],
)
async def test_what_s3_answers_is_translated(status: str, code: str, transient: bool, s3: S3Server, s3_backend: BlobBackend) -> None:
    s3.answer(status, code, times=2 if code in ("SlowDown", "RequestTimeout", "XAmzContentSHA256Mismatch") else 1)
    with pytest.raises(BlobUnavailable, match=code) as caught:
        await s3_backend.get(KEY, ENOUGH)
    assert caught.value.transient is transient
    assert ("AWS_ACCESS_KEY_ID" in str(caught.value)) is (status.startswith("403") or code == "ExpiredToken")
    assert s3_backend.url in str(caught.value)


async def test_an_archived_object_is_named(s3: S3Server, s3_backend: BlobBackend) -> None:
    s3.answer("403 Forbidden", "InvalidObjectState")
    with pytest.raises(BlobUnavailable, match=f"{KEY} .* archived") as caught:
        await s3_backend.get(KEY, ENOUGH)
    assert not caught.value.transient


async def test_an_object_that_fails_its_transport_checksum_is_corrupt_and_not_read_again(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    backend = open_backend(s3.bucket_url(bucket), BlobSettings(retry_seconds=60))
    await backend.put(KEY, b"content")
    s3.damage(KEY)
    for read in (lambda: backend.get(KEY, ENOUGH), lambda: backend.get_file(KEY, tmp_path / "target", ENOUGH)):
        s3.take_requests()
        with pytest.raises(BlobCorrupt, match=f"object {KEY} at s3://{bucket}/blobs"):
            await read()
        assert s3.take_requests()["GET"] == 1
    await backend.close()


async def test_verify_lists_every_object_that_fails_its_transport_checksum(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    async with SQLAlchemySaver.from_conn_string(tmp_path / "checkpoints.sqlite", blob_url=s3.bucket_url(bucket)) as saver:
        for number in range(4):
            await put(saver, config(f"t{number}"), {"file": os.urandom(70_000)})
        objects = saver.store.objects
        keys = [entry.key for entry in objects.run(listed(objects.backend)).result()]
        for key in keys[:2]:
            s3.damage(key)
        report = await saver.averify(deep=True)
    assert sorted(report.corrupt) == keys[:2]
    assert report.objects == 4
    assert not report.ok


async def test_a_fault_that_passes_is_not_seen(s3: S3Server, bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    options = {"config_kwargs": {"retries": {"total_max_attempts": 1}}}
    backend = open_backend(s3.bucket_url(bucket), BlobSettings(retry_seconds=60, options=options))
    s3.answer("500 Internal Server Error", "InternalError", times=2)
    with caplog.at_level(logging.WARNING, "ckptstore.blobs"):
        await backend.put(KEY, b"content")
    assert await backend.get(KEY, ENOUGH) == b"content"
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


async def test_what_others_delete_is_reported_as_missing(s3: S3Server, bucket: str, s3_backend: BlobBackend) -> None:
    await s3_backend.put(KEY, b"content")
    assert await listed(s3_backend) == [BlobEntry(KEY, 7)]
    boto3.client("s3", endpoint_url=s3.url).delete_object(Bucket=bucket, Key=f"blobs/{KEY}")
    assert await s3_backend.size(KEY) is None
    assert await listed(s3_backend) == []


async def test_no_credentials_at_all_are_reported(s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    backend = open_backend(s3.bucket_url(bucket), BlobSettings(retry_seconds=60))
    with pytest.raises(BlobUnavailable, match="AWS_ACCESS_KEY_ID") as caught:
        await backend.put(KEY, b"content")
    assert not caught.value.transient
    await backend.close()


async def test_an_unknown_profile_is_reported(s3: S3Server, bucket: str) -> None:
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
            await backend.get(KEY, ENOUGH)
        said.append(str(missing.value))
    await backend.close()
    text = "\n".join([*said, caplog.text])
    assert SECRET not in text
    assert "AKIAKEY" not in text
