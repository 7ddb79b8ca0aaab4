"""Constants and backends for tests of blob backends."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TypeVar

from fsspec.implementations.local import LocalFileSystem

from ckptstore.blobs.backends.protocol import BlobBackend, BlobEntry
from ckptstore.blobs.backends.wrappers import BackendWrapper
from ckptstore.blobs.settings import BlobSettings

T = TypeVar("T")


KEY = "ab/abcdef-01"


#: As many bytes as an object of a test may have.
ENOUGH = 2**26


ONCE = BlobSettings(retry_seconds=0)


# The S3 client does not retry either, so that every response reaches our code.
ONE_REQUEST = BlobSettings(retry_seconds=0, options={"config_kwargs": {"retries": {"total_max_attempts": 1}}})


SECRET = "hunter2SECRET"


numbers = itertools.count()


class PlainFiles(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A synchronous file system, as SFTP is: folders must be created, and a file is visible while it is being written."""

    protocol = "plainfiles"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(LocalFileSystem._strip_protocol(path.removeprefix("plainfiles://")))


async def listed(backend: BlobBackend) -> list[BlobEntry]:
    return sorted([entry async for entry in backend.entries()])


def bare(backend: BlobBackend) -> BlobBackend:
    """The backend within its wrappers."""
    while isinstance(backend, BackendWrapper):
        backend = backend.inner
    return backend


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class Killed(BaseException):
    """Stands for the end of the process."""
