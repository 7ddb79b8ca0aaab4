"""A server of S3 and a PostgreSQL server with a standby, one each for all tests of a worker, and databases with a folder of blobs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from ckptstore.blobs.backends.open import open_backend
from ckptstore.blobs.backends.protocol import BlobBackend
from tests.support.blob_backends import ONE_REQUEST, numbers
from tests.support.collector import SharedStore
from tests.support.databases import empty_tables, new_database, url_of
from tests.support.orm import engine_on
from tests.support.s3 import S3Server, moto_server
from tests.support.standbys import StandbyPair, standby_pair


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


@pytest.fixture(params=["sqlite", "asyncpg", "psycopg"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> SharedStore:
    return SharedStore(url_of(request.param, request, tmp_path), tmp_path / "blobs")


@pytest.fixture(params=["sqlite", "asyncpg", "psycopg"])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without a schema."""
    if request.param == "sqlite":
        yield str(tmp_path / "bare.sqlite")
        return
    with new_database(request.getfixturevalue("postgres_url"), request.param) as url:
        yield url


@pytest.fixture
async def engine(lasting_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine of the user's on the saver's database."""
    engine = engine_on(lasting_url)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
def started_pair() -> Iterator[StandbyPair]:
    with standby_pair() as pair:
        yield pair


@pytest.fixture
def pair(started_pair: StandbyPair) -> StandbyPair:
    """A PostgreSQL server without rows, and its standby."""
    empty_tables(started_pair.primary)
    started_pair.catch_up()
    return started_pair
