"""Distributing the tables of a store: refused without Citus, and done on a cluster where there is one."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.db.distribute import require_shards
from ckptstore.db.distribution import distribution_of
from ckptstore.db.sql.routing import PER_THREAD
from ckptstore.errors import InvalidConfig
from tests.support.build import chain, config, put
from tests.support.databases import SHARDS, on_citus
from tests.support.rows import Rows


@pytest.mark.parametrize("shards", [0, -1, True, "8", 1_025])
def test_what_is_no_number_of_shards_is_refused(shards: object) -> None:
    with pytest.raises(InvalidConfig, match="shards must be a whole number from 1 to 1024"):
        require_shards(shards, on_sqlite=False)


def test_sqlite_is_refused_before_a_file_is_created(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["upgrade", "--url", f"sqlite:///{tmp_path}/new.sqlite", "--distribute"])
    assert result.exit_code != 0
    assert "SQLite is one file, which can't be distributed" in result.output
    assert not list(tmp_path.iterdir())


async def test_a_database_without_citus_says_what_to_do(request: pytest.FixtureRequest, server: str, tenant: str) -> None:
    if request.config.getoption("--citus"):
        pytest.skip("there is Citus")
    async with SQLAlchemySaver.from_conn_string(server, schema=tenant) as saver:
        with pytest.raises(InvalidConfig, match=r"this database has no Citus: .* CREATE EXTENSION citus"):
            await saver.setup(shards=8)


@on_citus
async def test_tables_with_rows_are_distributed_and_read_as_before(server: str, postgres_url: str, tenant: str) -> None:
    async with SQLAlchemySaver.from_conn_string(server, schema=tenant) as saver:
        await saver.setup()
        for number in range(12):
            await chain(saver, f"t{number}", 4, run_id=f"run {number}")
        rows = {name: sorted(map(repr, found)) for name, found in Rows.of(saver).tables.items()}
        before = await saver.alist(None)
        await saver.setup(shards=SHARDS)
        assert {name: sorted(map(repr, found)) for name, found in Rows.of(saver).tables.items()} == rows
        assert await saver.alist(None) == before
        await put(saver, config("t1"), {"n": 1})
        await saver.adelete_thread("t2")
        await saver.setup(shards=SHARDS)
    with psycopg.connect(postgres_url) as connection:
        query = (
            "SELECT c.relname, d.partmethod FROM pg_dist_partition d JOIN pg_class c ON c.oid = d.logicalrelid "
            "WHERE c.relnamespace = %s::regnamespace"
        )
        methods: dict[str, str] = dict(connection.execute(query, (f'"{tenant}"',)).fetchall())
    assert {name for name, method in methods.items() if method == "h"} == PER_THREAD


@on_citus
async def test_tables_of_a_later_revision_are_distributed_too(server: str, tenant: str) -> None:
    async with SQLAlchemySaver.from_conn_string(server, schema=tenant) as saver:
        await saver.setup(shards=SHARDS)
        await chain(saver, "t", 2)
    run = CliRunner()
    for arguments in (["downgrade", "0007"], ["upgrade"]):
        result = run.invoke(main, [arguments[0], "--url", server, "--schema", tenant, *arguments[1:]])
        assert result.exit_code == 0, result.output
    async with SQLAlchemySaver.from_conn_string(server, schema=tenant) as saver:
        await chain(saver, "t2", 2)
        lease = saver.store.runner.read(lambda db: distribution_of(db, db.statements.table_name("ckpt_lease"))).result()
        assert lease is not None
        assert (lease.method, lease.shards) == ("h", SHARDS)


@on_citus
async def test_another_number_of_shards_is_refused(server: str, tenant: str) -> None:
    async with SQLAlchemySaver.from_conn_string(server, schema=tenant) as saver:
        await saver.setup(shards=SHARDS)
        with pytest.raises(InvalidConfig, match=f"distributed already, over {SHARDS} shards; give shards={SHARDS}"):
            await saver.setup(shards=SHARDS + 1)
        with pytest.raises(InvalidConfig, match="the tables are distributed, and can't have partitions"):
            await saver.setup(partitions=4)


@on_citus
async def test_partitioned_tables_are_refused(server: str, tenant: str) -> None:
    async with SQLAlchemySaver.from_conn_string(server, schema=tenant) as saver:
        await saver.setup(partitions=4)
        with pytest.raises(InvalidConfig, match=r"the tables have partitions, .* ckptstore copy"):
            await saver.setup(shards=SHARDS)
        await chain(saver, "t", 2)
