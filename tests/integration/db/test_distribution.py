"""What Citus's catalogue says of a table."""

from __future__ import annotations

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db import sql
from ckptstore.db.abilities import Abilities
from ckptstore.db.async_runner import AsyncRunner
from ckptstore.db.capabilities import PLAIN
from ckptstore.db.connection import Db
from ckptstore.db.distribution import capabilities_with_citus, distribution_of
from tests.support.build import chain
from tests.support.databases import SHARDS, on_citus
from tests.support.shards import as_on_shards

drivers = pytest.mark.parametrize("url", ["asyncpg", "psycopg"], indirect=True)


@on_citus
@drivers
async def test_the_tables_of_a_cluster_are_found(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await saver.setup()
        assert isinstance(saver.store.runner, AsyncRunner)
        assert saver.store.runner.abilities.database.shards == SHARDS
        found = saver.store.runner.read(lambda db: distribution_of(db, "ckpt_write")).result()
        assert found is not None
        assert (found.method, found.shards) == ("h", SHARDS)
        assert saver.store.runner.read(lambda db: distribution_of(db, "ckpt_is_not_there")).result() is None


@drivers
async def test_plain_tables_are_found_to_be_plain(url: str, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--citus"):
        pytest.skip("the tables are distributed")
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await as_on_shards(saver)
        assert isinstance(saver.store.runner, AsyncRunner)
        # Whoever sets it up looks again.
        await saver.setup()
        assert saver.store.runner.abilities.database is PLAIN
        assert saver.store.runner.abilities.statements is None


@drivers
async def test_statements_are_those_of_shards_from_the_work_on_that_found_them(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await as_on_shards(saver)
        assert saver.store.runner.read(lambda db: (db.statements.sharded, db.abilities.database.shards)).result() == (True, 8)
        assert isinstance(saver.store.runner, AsyncRunner)
        saver.store.runner.abilities = Abilities()
        assert saver.store.runner.read(lambda db: db.statements.sharded).result() is False


@on_citus
@drivers
async def test_a_schema_without_tables_is_plain(url: str) -> None:
    def look(db: Db) -> object:
        return capabilities_with_citus(db)

    async with SQLAlchemySaver.from_conn_string(url, schema="not_there") as saver:
        assert saver.store.runner.read(look).result() is PLAIN


@on_citus
@drivers
async def test_sizes_are_those_of_the_shards(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await chain(saver, "t", 3)
        found = saver.store.runner.read(lambda db: db.run(sql.stats.tables_in_catalogue, {"schema": None})).result()
        bytes_of = {name: own for name, own, *_ in found}
        # A page, or more, of each shard's index.
        assert bytes_of["ckpt_checkpoint"] >= 8192
        total = saver.store.runner.read(lambda db: db.run(sql.vacuum.table_bytes, {"schema": None})).result().scalar_one()
        assert total >= sum(bytes_of.values())
