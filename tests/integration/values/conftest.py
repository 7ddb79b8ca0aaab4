"""Each kind of store for values: a file, a server, a server with a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.databases import url_of
from tests.support.values import Place


@pytest.fixture(params=["sqlite", "asyncpg", "asyncpg with a folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """SQLite with its folder beside it, PostgreSQL with everything inside, PostgreSQL with a folder."""
    database, _, folder = request.param.partition(" ")
    return Place(url_of(database, request, tmp_path), str(tmp_path / "blobs") if folder else None)


@pytest.fixture(params=["sqlite", "asyncpg with a folder"])
def blob_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """As `place`, where blobs go to a folder."""
    database, _, folder = request.param.partition(" ")
    return Place(url_of(database, request, tmp_path), str(tmp_path / "blobs") if folder else None)


@pytest.fixture
def file_place(tmp_path: Path) -> Place:
    return Place(str(tmp_path / "checkpoints.sqlite"), None)
