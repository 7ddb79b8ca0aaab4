"""Schemas that have to be created, and rows that lead to each other, for tests of the models."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.support.copied_schema import migrated_files
from tests.support.orm import family


@pytest.fixture(autouse=True)
def migrations() -> Iterator[None]:
    """Run the migrations on new SQLite files, where other tests get a copy of the schema."""
    with migrated_files():
        yield


@pytest.fixture(params=["asyncpg", "psycopg"])
def server(request: pytest.FixtureRequest, postgres_url: str) -> str:
    """The URL of a database whose own tables are of no interest here."""
    return postgres_url.replace("postgresql:", f"postgresql+{request.param}:")


@pytest.fixture
def tenant(postgres_url: str) -> Iterator[str]:
    """The name of a schema that does not exist, and that has to be quoted."""
    name = f"Tenant {uuid4().hex}"
    yield name
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(name)))


@pytest.fixture
async def ids(lasting_url: str) -> list[str]:
    """The ids of the checkpoints of `family`."""
    return await family(lasting_url)
