"""A saver behind a real pgbouncer, with what a user would give it first: it works, or the error names the setting."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate

from ckptstore import DatabaseSettings, SQLAlchemySaver
from ckptstore.errors import CkptStoreError
from tests.support.build import chain, config
from tests.support.databases import empty_tables
from tests.support.poolers import PGBOUNCER, keeps_prepared_statements, pgbouncer

pytestmark = [
    pytest.mark.starts_processes,
    pytest.mark.skipif(PGBOUNCER is None, reason="needs pgbouncer: apt-get install pgbouncer"),
]
THREADS = 20


@pytest.fixture(scope="module", params=["transaction", "session"])
def mode_and_url(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[tuple[str, str]]:
    # pgbouncer runs as the server's user, who can't look into pytest's folders.
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as folder, pgbouncer(Path(folder), postgres_url, request.param) as url:
        yield request.param, url


async def work(url: str, settings: DatabaseSettings) -> int:
    """Threads at once, each of which writes, reads and searches; the number of those that did all of it."""
    async with SQLAlchemySaver.from_conn_string(url, settings=settings) as saver:

        async def one(number: int) -> int:
            await chain(saver, f"thread-{number}", 3)
            found = await saver.alist(config(f"thread-{number}"))
            return len(found) == 3 and len(await saver.alist(None, filter={"source": "loop"}, limit=1)) == 1

        return sum(await asyncio.gather(*map(one, range(THREADS))))


@pytest.mark.parametrize("driver", ["postgresql", "postgresql+asyncpg", "postgresql+psycopg"])
async def test_with_its_defaults(mode_and_url: tuple[str, str], driver: str, postgres_url: str) -> None:
    mode, url = mode_and_url
    empty_tables(postgres_url)
    url = url.replace("postgresql", driver, 1)
    if (mode, driver) == ("transaction", "postgresql+psycopg") and not keeps_prepared_statements():
        with pytest.raises(CkptStoreError, match="prepared_statements=False"):
            await work(url, DatabaseSettings(retry_seconds=3))
    else:
        assert await work(url, DatabaseSettings()) == THREADS


@pytest.mark.parametrize("query", ["?pgbouncer=true", "?pgbouncer=true&sslmode=prefer&connect_timeout=10&application_name=agents"])
async def test_a_url_that_names_the_pooler(mode_and_url: tuple[str, str], query: str, postgres_url: str) -> None:
    empty_tables(postgres_url)
    assert await work(mode_and_url[1] + query, DatabaseSettings()) == THREADS


async def test_the_recipe(mode_and_url: tuple[str, str], postgres_url: str) -> None:
    empty_tables(postgres_url)
    url = mode_and_url[1].replace("postgresql", "postgresql+psycopg", 1)
    assert await work(url, DatabaseSettings(prepared_statements=False)) == THREADS


async def test_the_conformance_suite(mode_and_url: tuple[str, str]) -> None:
    @checkpointer_test(name="behind pgbouncer")
    async def registered() -> AsyncIterator[SQLAlchemySaver]:
        async with SQLAlchemySaver.from_conn_string(mode_and_url[1] + "?pgbouncer=true") as saver:
            yield saver

    results = (await validate(registered)).results
    assert results
    assert [name for name, result in results.items() if not result.passed] == []


@pytest.mark.parametrize("driver", ["postgresql+asyncpg", "postgresql+psycopg"])
async def test_a_parameter_that_the_pooler_refuses(mode_and_url: tuple[str, str], driver: str) -> None:
    url = mode_and_url[1].replace("postgresql", driver, 1) + "?options=-c%20geqo%3Don"
    with pytest.raises(CkptStoreError, match="options") as caught:
        await work(url, DatabaseSettings(retry_seconds=0))
    assert "ignore_startup_parameters" in str(caught.value)
