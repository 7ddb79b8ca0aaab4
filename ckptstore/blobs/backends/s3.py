"""S3 and compatible servers: the options of s3fs from a URL, and operations that take few requests."""

from __future__ import annotations

import asyncio
import math
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from ckptstore.blobs.backends.fsspec_files import AsyncFiles, callback_of
from ckptstore.blobs.backends.object_keys import is_object_key
from ckptstore.blobs.backends.protocol import BlobEntry
from ckptstore.blobs.backends.transfer_log import TooManyBytes, TransferProgress
from ckptstore.blobs.settings import BlobSettings
from ckptstore.errors import InvalidUrl

_PARAMETERS = ("addressing_style", "anon", "endpoint_url", "profile", "region", "requester_pays", "use_ssl")
_FLAGS = {"true": True, "1": True, "false": False, "0": False}
_SECRET = re.compile(r"key|secret|token|passw|pwd|user|credential|signature", re.IGNORECASE)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}|arn:[A-Za-z0-9:_-]+")

CREDENTIALS_ELSEWHERE = (
    "the blob URL contains credentials, and URLs end up in logs; remove them and pass them through the environment "
    "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE) or the instance's role"
)

# S3's limits: bytes of one PUT, parts of one upload.
_LARGEST_PUT = 5 * 1024**3
_MAX_PARTS = 10_000
# Twice as many are in memory: s3fs reads the next ones before it releases the last.
_PARTS_AT_ONCE = 2


class S3Files(AsyncFiles):
    """s3fs, without the requests that are not needed."""

    def __init__(self, fs: Any, part_bytes: int) -> None:
        super().__init__(fs)
        self._part_bytes = part_bytes
        # Below ckptstore's own retries: this resumes a download in the middle.
        fs.retries = 2

    async def put(self, path: str, data: bytes) -> None:
        # s3fs starts a multipart upload at twice this size, so never for what fits into one PUT.
        await self._fs._pipe_file(path, data, chunksize=_LARGEST_PUT // 2)

    async def get(self, path: str, max_bytes: int) -> bytes:
        # Not a byte range of it: servers give no checksum for a range.
        from s3fs.core import _error_wrapper

        bucket, key, _ = self._fs.split_path(path)

        async def read() -> bytes | None:
            response = await self._fs._call_s3("get_object", Bucket=bucket, Key=key)
            with closing(response["Body"]) as body:
                return await body.read() if response["ContentLength"] <= max_bytes else None

        data: bytes | None = await _error_wrapper(read, retries=self._fs.retries)
        if data is None:
            raise TooManyBytes
        return data

    async def put_file(self, path: str, source: Path, progress: TransferProgress) -> None:
        size = await asyncio.to_thread(os.path.getsize, source)
        part = max(self._part_bytes, math.ceil(size / _MAX_PARTS))
        await self._fs._put_file(str(source), path, callback=callback_of(progress), chunksize=part, max_concurrency=_PARTS_AT_ONCE)

    async def get_file(self, path: str, target: Path, progress: TransferProgress) -> None:
        # Refused at the start, s3fs would leave the response open.
        await self._fs._get_file(path, str(target), callback=callback_of(progress, at_start=False))

    async def listing(self, root: str) -> AsyncIterator[BlobEntry]:
        bucket, _, prefix = root.partition("/")
        # `_find` keeps the whole listing in memory, `_iterdir` one page.
        async for found in self._fs._iterdir(bucket, delimiter="", prefix=f"{prefix}/" if prefix else ""):
            yield BlobEntry(found["name"], int(found["size"]))

    async def delete_unfinished(self, root: str, before: float, *, dry_run: bool) -> int:
        """Abort multipart uploads of processes that were killed: S3 keeps, and charges for, their parts until then."""
        bucket, _, prefix = root.partition("/")
        count = 0
        async for upload in self._uploads(bucket, f"{prefix}/" if prefix else ""):
            key = upload["Key"].removeprefix(f"{prefix}/" if prefix else "")
            if not is_object_key(key) or upload["Initiated"].timestamp() >= before:
                continue
            count += 1
            if not dry_run:
                # It may have ended meanwhile.
                with suppress(FileNotFoundError):
                    await self._fs._call_s3("abort_multipart_upload", Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        return count

    async def _uploads(self, bucket: str, prefix: str) -> AsyncIterator[dict[str, Any]]:
        """The multipart uploads below a prefix, a page at a time."""
        after: dict[str, str] = {}
        while True:
            page = await self._fs._call_s3("list_multipart_uploads", Bucket=bucket, Prefix=prefix, **after)
            for upload in page.get("Uploads", ()):
                yield upload
            if not page.get("IsTruncated"):
                return
            after = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    async def close(self) -> None:
        # `set_session` would create a client where there is none yet, or where creating it failed.
        if self._fs._s3 is not None:
            await self._fs._s3.close()


def s3_options(url: str, settings: BlobSettings) -> dict[str, Any]:
    """s3fs's options for an `s3://bucket/prefix?...` URL.

    Raises:
        InvalidUrl: no bucket, credentials, an unknown parameter, or an invalid value.
    """
    path, _, query = url.partition("://")[2].partition("?")
    _check_bucket(path.partition("/")[0])
    given = _parse_query(query)
    client = {"region_name": given["region"]} if "region" in given else {}
    config: dict[str, Any] = {
        # One quick retry of a single request, so that a large upload survives one fault; ckptstore's retries repeat the whole operation.
        "retries": {"mode": "standard", "total_max_attempts": 2},
        "max_pool_connections": settings.max_parallel * _PARTS_AT_ONCE,
    }
    if "addressing_style" in given:
        config["s3"] = {"addressing_style": given["addressing_style"]}
    direct: dict[str, Any] = {
        name: given[name] for name in ("endpoint_url", "profile", "anon", "use_ssl", "requester_pays") if name in given
    }
    # With a higher `max_concurrency` s3fs asks for an object's size before it reads it.
    defaults: dict[str, Any] = {"max_concurrency": 1, "client_kwargs": client, "config_kwargs": config, **direct}
    return _merged(defaults, settings.options)


def _check_bucket(bucket: str) -> None:
    if not bucket:
        raise InvalidUrl("no S3 bucket name in blob_url; expected s3://bucket/prefix")
    if _BUCKET.fullmatch(bucket) is None:
        # The name is not repeated: an invalid one may be a part of a password.
        raise InvalidUrl("invalid S3 bucket name in blob_url; expected s3://bucket/prefix")


def _parse_query(query: str) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _PARAMETERS:
            raise InvalidUrl(_unknown(name))
        if name in given or not value:
            raise InvalidUrl(f"the S3 URL gives {name} twice, or without a value")
        given[name] = _value_of(name, value)
    return given


def _unknown(name: str) -> str:
    if _SECRET.search(name):
        return CREDENTIALS_ELSEWHERE
    # A name with other characters may be a part of a secret that contained a `?` or `&`.
    shown = repr(name) if re.fullmatch(r"[a-z_]{1,30}", name) else "(not shown)"
    return f"unknown S3 URL parameter {shown}; known: {', '.join(_PARAMETERS)}; pass others in blob_options"


def _value_of(name: str, value: str) -> Any:
    if name in ("anon", "use_ssl", "requester_pays"):
        if value.lower() not in _FLAGS:
            raise InvalidUrl(f"{name} in an S3 URL must be true or false")
        return _FLAGS[value.lower()]
    if name == "addressing_style" and value not in ("auto", "virtual", "path"):
        raise InvalidUrl("addressing_style in an S3 URL must be auto, virtual or path")
    if name == "endpoint_url":
        address = _address(value)
        if "@" in address.netloc or address.query:
            raise InvalidUrl(CREDENTIALS_ELSEWHERE)
        if address.scheme not in ("http", "https") or not address.netloc:
            raise InvalidUrl("endpoint_url in an S3 URL must begin with http:// or https:// and name a host")
    return value


def _address(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        # Not chained: urllib repeats what it can't parse, and that may contain a password.
        raise InvalidUrl("endpoint_url in an S3 URL can't be parsed; expected http:// or https:// and a host") from None


def _merged(defaults: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**defaults, **overrides}
    for name in defaults.keys() & overrides.keys():
        if isinstance(defaults[name], Mapping) and isinstance(overrides[name], Mapping):
            merged[name] = _merged(defaults[name], overrides[name])
    return merged
