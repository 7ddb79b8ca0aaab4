"""Each kind of store for values: a file, a server, a server with a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.databases import url_of
from tests.support.values import StoreAddress


@pytest.fixture(params=["sqlite", "asyncpg", "asyncpg with a folder"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> StoreAddress:
    """SQLite with its folder beside it, PostgreSQL with everything inside, PostgreSQL with a folder."""
    database, _, folder = request.param.partition(" ")
    return StoreAddress(url_of(database, request, tmp_path), str(tmp_path / "blobs") if folder else None)


@pytest.fixture(params=["sqlite", "asyncpg with a folder"])
def folder_address(request: pytest.FixtureRequest, tmp_path: Path) -> StoreAddress:
    """As `address`, where blobs go to a folder."""
    database, _, folder = request.param.partition(" ")
    return StoreAddress(url_of(database, request, tmp_path), str(tmp_path / "blobs") if folder else None)


@pytest.fixture
def file_address(tmp_path: Path) -> StoreAddress:
    return StoreAddress(str(tmp_path / "checkpoints.sqlite"), None)
