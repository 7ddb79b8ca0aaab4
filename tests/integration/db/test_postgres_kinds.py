"""A server that is not PostgreSQL, or hides what it is, is refused in one sentence."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from ckptstore import DatabaseSettings, SQLAlchemySaver
from ckptstore.db.postgres import require_postgresql
from ckptstore.errors import InvalidUrl

SAYS = "CockroachDB CCL v23.1.11 (x86_64-pc-linux-gnu)"


@pytest.fixture
def disguised(postgres_url: str) -> Iterator[str]:
    """A database that calls itself another one to whoever has its schema first in the path."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA disguise")
        connection.execute(f"CREATE FUNCTION disguise.version() RETURNS text LANGUAGE sql AS $$ SELECT '{SAYS}' $$")
        yield postgres_url
        connection.execute("DROP SCHEMA disguise CASCADE")


@pytest.mark.parametrize(
    ("driver", "arguments"),
    [
        ("asyncpg", {"server_settings": {"search_path": "disguise, pg_catalog"}}),
        ("psycopg", {"options": "-csearch_path=disguise,pg_catalog"}),
    ],
)
async def test_another_database_is_named(disguised: str, driver: str, arguments: dict[str, object]) -> None:
    url = disguised.replace("postgresql:", f"postgresql+{driver}:")
    async with SQLAlchemySaver.from_conn_string(url, settings=DatabaseSettings(connect_args=arguments)) as saver:
        with pytest.raises(InvalidUrl, match=r"the server is CockroachDB .*; ckptstore runs on PostgreSQL, also with Citus, and on SQLite"):
            await saver.setup()


@pytest.mark.parametrize(
    ("version", "name"),
    [
        (SAYS, "CockroachDB"),
        ("PostgreSQL 11.2-YB-2.19.0.0-b0 on x86_64", "YugabyteDB"),
        ("PostgreSQL 8.0.2 on i686-pc-linux-gnu, Redshift 1.0.12103", "Amazon Redshift"),
        ("hidden by a proxy", "no PostgreSQL that ckptstore knows"),
        ("", "no PostgreSQL that ckptstore knows"),
    ],
)
def test_what_is_not_postgresql(version: str, name: str) -> None:
    with pytest.raises(InvalidUrl, match=f"the server is {name}"):
        require_postgresql(version)


@pytest.mark.parametrize("version", ["PostgreSQL 15.20 (Debian 15.20-0+deb12u1) on x86_64", "PostgreSQL 18.0 on aarch64-apple-darwin"])
def test_postgresql_is_let_through(version: str) -> None:
    require_postgresql(version)
