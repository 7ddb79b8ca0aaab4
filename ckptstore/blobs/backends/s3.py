"""S3, and what speaks its protocol: how the URL becomes s3fs's options, and few requests."""

from __future__ import annotations

import asyncio
import math
import os
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from ckptstore.blobs.backends.fsspec_files import AsyncFiles, callback_of
from ckptstore.blobs.backends.protocol import BlobEntry
from ckptstore.blobs.backends.transfer_log import TransferProgress
from ckptstore.blobs.settings import BlobSettings
from ckptstore.errors import InvalidUrl

_KNOWN = ("addressing_style", "anon", "endpoint_url", "profile", "region", "requester_pays", "use_ssl")
_FLAGS = {"true": True, "1": True, "false": False, "0": False}
_SECRET = re.compile(r"key|secret|token|passw|pwd|user|credential|signature", re.IGNORECASE)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}|arn:[A-Za-z0-9:_-]+")

CREDENTIALS_ELSEWHERE = (
    "the URL holds credentials, and URLs end up in logs; take them out and give them by the environment "
    "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE) or by the instance's role"
)

# S3's own limits: bytes of one PUT, parts of one upload.
_LARGEST_PUT = 5 * 1024**3
_MAX_PARTS = 10_000
# In memory are twice as many: s3fs reads the next ones before it lets go of the last.
_PARTS_AT_ONCE = 2


class S3Files(AsyncFiles):
    """s3fs, told to ask nothing that it need not."""

    def __init__(self, fs: Any, part_bytes: int) -> None:
        super().__init__(fs)
        self._part_bytes = part_bytes
        # Beneath our own retries, this is what resumes a download in its middle.
        fs.retries = 2

    async def put(self, path: str, data: bytes) -> None:
        # s3fs begins a multipart upload at twice this size: never below what one PUT may hold.
        await self._fs._pipe_file(path, data, chunksize=_LARGEST_PUT // 2)

    async def put_file(self, path: str, source: Path, progress: TransferProgress) -> None:
        size = await asyncio.to_thread(os.path.getsize, source)
        part = max(self._part_bytes, math.ceil(size / _MAX_PARTS))
        await self._fs._put_file(str(source), path, callback=callback_of(progress), chunksize=part, max_concurrency=_PARTS_AT_ONCE)

    async def listing(self, root: str) -> AsyncIterator[BlobEntry]:
        bucket, _, prefix = root.partition("/")
        # `_find` holds the whole listing in memory; this holds a page.
        async for found in self._fs._iterdir(bucket, delimiter="", prefix=f"{prefix}/" if prefix else ""):
            yield BlobEntry(found["name"], int(found["size"]))

    async def close(self) -> None:
        # `set_session` would make a client where there is none yet, or where making one failed.
        if self._fs._s3 is not None:
            await self._fs._s3.close()


def s3_options(url: str, settings: BlobSettings) -> dict[str, Any]:
    """s3fs's options for an `s3://bucket/prefix?...` URL.

    Raises:
        InvalidUrl: no bucket, credentials, an unknown name in the query, or a value that has no meaning.
    """
    path, _, query = url.partition("://")[2].partition("?")
    _check_bucket(path.partition("/")[0])
    said = _read_query(query)
    client = {"region_name": said["region"]} if "region" in said else {}
    config: dict[str, Any] = {
        # One quick retry of a single request, so that a large upload outlives one fault; ours go round the whole operation.
        "retries": {"mode": "standard", "total_max_attempts": 2},
        "max_pool_connections": settings.max_parallel * _PARTS_AT_ONCE,
    }
    if "addressing_style" in said:
        config["s3"] = {"addressing_style": said["addressing_style"]}
    direct: dict[str, Any] = {name: said[name] for name in ("endpoint_url", "profile", "anon", "use_ssl", "requester_pays") if name in said}
    # With more, s3fs asks for an object's size before it reads it.
    ours: dict[str, Any] = {"max_concurrency": 1, "client_kwargs": client, "config_kwargs": config, **direct}
    return _merged(ours, settings.options)


def _check_bucket(bucket: str) -> None:
    if not bucket:
        raise InvalidUrl("the S3 URL names no bucket; give s3://bucket/prefix")
    if _BUCKET.fullmatch(bucket) is None:
        # Not repeated: what is no bucket's name may be a part of a password.
        raise InvalidUrl("what stands between s3:// and the next slash is no bucket's name; give s3://bucket/prefix")


def _read_query(query: str) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _KNOWN:
            raise InvalidUrl(_unknown(name))
        if name in said or not value:
            raise InvalidUrl(f"the S3 URL gives {name} twice, or without a value")
        said[name] = _value_of(name, value)
    return said


def _unknown(name: str) -> str:
    if _SECRET.search(name):
        return CREDENTIALS_ELSEWHERE
    # What does not look like a name may be a piece of a secret that was cut at a `?` or `&`.
    shown = repr(name) if re.fullmatch(r"[a-z_]{1,30}", name) else "of this kind"
    return f"an S3 URL knows no parameter {shown}; the known ones are {', '.join(_KNOWN)}; others go into blob_options"


def _value_of(name: str, value: str) -> Any:
    if name in ("anon", "use_ssl", "requester_pays"):
        if value.lower() not in _FLAGS:
            raise InvalidUrl(f"{name} in an S3 URL is true or false")
        return _FLAGS[value.lower()]
    if name == "addressing_style" and value not in ("auto", "virtual", "path"):
        raise InvalidUrl("addressing_style in an S3 URL is auto, virtual or path")
    if name == "endpoint_url":
        address = _address(value)
        if "@" in address.netloc or address.query:
            raise InvalidUrl(CREDENTIALS_ELSEWHERE)
        if address.scheme not in ("http", "https") or not address.netloc:
            raise InvalidUrl("endpoint_url in an S3 URL begins with http:// or https:// and names a host")
    return value


def _address(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        # Not chained: urllib repeats what it can't read, and that may hold a password.
        raise InvalidUrl("endpoint_url in an S3 URL can't be read; give http:// or https:// and a host") from None


def _merged(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    both = {**ours, **theirs}
    for name in ours.keys() & theirs.keys():
        if isinstance(ours[name], Mapping) and isinstance(theirs[name], Mapping):
            both[name] = _merged(ours[name], theirs[name])
    return both
