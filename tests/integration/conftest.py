"""A server of S3, one for all tests of a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from ckptstore.blobs.backends.open import open_backend
from ckptstore.blobs.backends.protocol import BlobBackend
from tests.support.blob_backends import ONE_REQUEST, numbers
from tests.support.s3 import S3Server, moto_server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture
def bucket(s3: S3Server) -> str:
    """An empty bucket's name."""
    name = f"bucket-{next(numbers)}"
    s3.create_bucket(name)
    return name


@pytest.fixture
async def s3_backend(s3: S3Server, bucket: str) -> AsyncIterator[BlobBackend]:
    backend = open_backend(s3.bucket_url(bucket), ONE_REQUEST)
    yield backend
    await backend.close()
