"""Empty databases of each kind for tests."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from ckptstore.db.models import Base
from ckptstore.db.postgres import postgres_engine
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.url import parse_database_url

DATABASES = ("memory", "sqlite", "asyncpg", "psycopg")


def empty_tables(url: str) -> None:
    """Empty every table of ckptstore's in a PostgreSQL database."""

    async def truncate() -> None:
        engine = postgres_engine(parse_database_url(url), DatabaseSettings(pool_size=1))
        async with engine.connect() as connection:
            await connection.execute(text("TRUNCATE " + ", ".join(Base.metadata.tables)))
        await engine.dispose()

    asyncio.run(truncate())


def url_of(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of one kind."""
    if database == "memory":
        return ":memory:"
    if database == "sqlite":
        return str(tmp_path / "checkpoints.sqlite")
    url: str = request.getfixturevalue("postgres_url")
    empty_tables(url)
    return url.replace("postgresql://", f"postgresql+{database}://", 1)
