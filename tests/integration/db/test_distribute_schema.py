"""A schema for each tenant, each on one node of a cluster: everything works as on plain PostgreSQL, and tenants don't meet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from uuid import uuid4

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.sql import SQL, Identifier

from ckptstore import RetentionPolicy, SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.db import sql
from ckptstore.db.distribute import require_schema
from ckptstore.errors import InvalidConfig
from tests.support.build import chain, config, put
from tests.support.databases import on_citus

NAMES = ("tenant a", "tenant b")


@pytest.fixture
def schemas(postgres_url: str) -> Iterator[list[str]]:
    """The names of two schemas that do not exist."""
    names = [f"{name} {uuid4().hex}" for name in NAMES]
    yield names
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for name in names:
            connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(name)))


@pytest.fixture
async def tenants(server: str, schemas: list[str]) -> AsyncIterator[list[SQLAlchemySaver]]:
    """Savers on two schemas, each on one node; the first one had a thread before."""
    async with AsyncExitStack() as stack:
        savers = [await stack.enter_async_context(SQLAlchemySaver.from_conn_string(server, schema=name)) for name in schemas]
        await savers[0].setup()
        await chain(savers[0], "before", 3, kind="old")
        for saver in savers:
            await saver.setup(one_node=True)
        yield savers


@pytest.mark.parametrize(
    ("schema", "on_sqlite", "message"), [(None, False, "name a tenant's"), ("public", False, "name a tenant's"), ("t", True, "SQLite")]
)
def test_what_has_no_schema_of_its_own_is_refused(schema: str | None, on_sqlite: bool, message: str) -> None:
    with pytest.raises(InvalidConfig, match=message):
        require_schema(schema, on_sqlite=on_sqlite)


def test_the_command_wants_a_schema(postgres_url: str) -> None:
    result = CliRunner().invoke(main, ["upgrade", "--url", postgres_url, "--distribute", "--one-node"])
    assert result.exit_code != 0
    assert "--schema NAME" in result.output


@on_citus
async def test_tenants_put_get_search_and_prune_apart_from_each_other(tenants: list[SQLAlchemySaver]) -> None:
    a, b = tenants
    for saver, name in zip(tenants, NAMES, strict=True):
        await chain(saver, "t", 6, owner=name, kind="new")
        last = await put(saver, config("u"), {"text": name * 400}, owner=name)
        await saver.aput_writes(last, [("text", name)], "task")
        found = await saver.aget_tuple(config("u"))
        assert found is not None
        assert found.checkpoint["channel_values"] == {"text": name * 400}
        assert found.pending_writes == [("task", "text", name)]
    assert len(await a.alist(None, filter={"owner": NAMES[0], "kind": "new"})) == 6
    assert await a.alist(None, filter={"owner": NAMES[1]}) == []
    assert len(await a.alist(None, filter={"kind": "old"})) == 3
    report = await a.aprune_by(RetentionPolicy(keep_last=2))
    assert report.checkpoints == 1 + 4
    assert [len(await saver.alist(config("t"))) for saver in tenants] == [2, 6]
    await a.acopy_thread("t", "copy")
    await b.adelete_thread("t")
    assert [{row.thread_id for row in await saver.alist_threads()} for saver in tenants] == [{"copy", "u", "t", "before"}, {"u"}]
    for saver in tenants:
        assert (await saver.averify()).ok


@on_citus
async def test_all_tables_are_on_one_node_and_the_functions_store_batches(
    tenants: list[SQLAlchemySaver], schemas: list[str], postgres_url: str
) -> None:
    query = (
        "SELECT count(DISTINCT p.groupid), bool_and(d.partmethod = 'n') FROM pg_dist_partition d JOIN pg_class c ON c.oid = d.logicalrelid "
        "JOIN pg_dist_shard s USING (logicalrelid) JOIN pg_dist_placement p USING (shardid) WHERE relnamespace = %s::regnamespace"
    )
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for saver, name in zip(tenants, schemas, strict=True):
            assert connection.execute(query, (f'"{name}"',)).fetchone() == (1, True)
            shard_map = saver.store.runner.abilities.shard_map
            assert shard_map is not None
            assert None not in shard_map.shards
            # Nothing is left of the rows that were copied.
            assert connection.execute(SQL("SELECT pg_relation_size('{}.ckpt_thread')").format(Identifier(name))).fetchone() == (0,)


@on_citus
async def test_the_statement_that_needs_one_snapshot_is_never_executed(
    tenants: list[SQLAlchemySaver], schemas: list[str], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Citus accepts it there, and executes it as many."""

    def refused(*_: object) -> None:
        raise AssertionError("one statement for a whole batch")

    monkeypatch.setattr(sql.batch_postgres, "commit_batch", refused)
    await chain(tenants[0], "t", 2)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(SQL("DROP FUNCTION {}.ckpt_commit_on_node_1").format(Identifier(schemas[0])))
    await chain(tenants[0], "u", 2)
    assert tenants[0].store.runner.abilities.shard_map is None
    # An upgrade creates what is missing.
    await tenants[0].setup()
    assert tenants[0].store.runner.abilities.shard_map is not None
    await chain(tenants[0], "v", 2)
    assert len(await tenants[0].alist(None)) == 3 + 6


@on_citus
async def test_a_tenant_is_moved_to_another_node(tenants: list[SQLAlchemySaver], schemas: list[str], postgres_url: str) -> None:
    a, _ = tenants
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "SELECT citus_schema_move(%s, nodename, nodeport, 'block_writes') FROM pg_dist_node WHERE shouldhaveshards AND groupid NOT IN ("
            "SELECT groupid FROM pg_dist_placement JOIN pg_dist_shard USING (shardid) WHERE logicalrelid = %s::regclass) LIMIT 1",
            (f'"{schemas[0]}"', f'"{schemas[0]}".ckpt_thread'),
        )
    await chain(a, "after", 2)
    assert len(await a.alist(None)) == 3 + 2
    shard_map = a.store.runner.abilities.shard_map
    assert shard_map is not None
    assert None not in shard_map.shards


@on_citus
async def test_what_can_not_be_had_is_refused(server: str, schemas: list[str], postgres_url: str) -> None:
    first, second = schemas
    async with SQLAlchemySaver.from_conn_string(server, schema=first) as saver:
        await saver.setup()
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(SQL("CREATE TABLE {}.theirs (id int)").format(Identifier(first)))
            with pytest.raises(InvalidConfig, match=r"tables of others \(theirs\)"):
                await saver.setup(one_node=True)
            connection.execute(SQL("DROP TABLE {}.theirs").format(Identifier(first)))
        await saver.setup(one_node=True)
        await saver.setup(one_node=True)
        with pytest.raises(InvalidConfig, match="distributed already, over one node"):
            await saver.setup(shards=4)
        with pytest.raises(InvalidConfig, match="can't have partitions"):
            await saver.setup(partitions=4)
    async with SQLAlchemySaver.from_conn_string(server, schema=second) as saver:
        await saver.setup(shards=2)
        with pytest.raises(InvalidConfig, match=r"by thread already, over 2 shards; .*ckptstore copy"):
            await saver.setup(one_node=True)
