"""The functions of shards: created on every node, done without where they are gone, created again for shards that were split."""

from __future__ import annotations

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Identifier

from ckptstore import SQLAlchemySaver
from ckptstore.db.sql.node_function import FUNCTION
from tests.support.build import chain
from tests.support.databases import on_citus


def functions(connection: Connection[TupleRow], schema: str) -> list[set[str]]:
    """The names of the functions in a schema, on each node."""
    query = f"SELECT string_agg(proname, ' ') FROM pg_proc WHERE pronamespace = '\"{schema}\"'::regnamespace"
    return [set(names.split()) for (names,) in connection.execute("SELECT result FROM run_command_on_all_nodes(%s)", (query,))]


@on_citus
async def test_every_node_has_those_of_all_shards(server: str, postgres_url: str, tenant: str) -> None:
    async with SQLAlchemySaver.from_conn_string(server, schema=tenant) as saver:
        await saver.setup(shards=2)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        found = functions(connection, tenant)
        assert len(found) == 3
        assert found[0] == found[1] == found[2]
        # Those for plain tables are gone.
        assert len(found[0]) == 2 + 2 * 2


@on_citus
async def test_functions_that_are_gone_are_done_without(server: str, postgres_url: str, tenant: str) -> None:
    async with SQLAlchemySaver.from_conn_string(server, schema=tenant) as saver:
        await saver.setup(shards=2)
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(SQL("DROP FUNCTION {}.{}").format(Identifier(tenant), Identifier(FUNCTION)))
        await chain(saver, "t", 2)
        assert saver.store.runner.abilities.shard_map is None
        assert len(await saver.alist(None)) == 2
        await saver.setup()
        assert saver.store.runner.abilities.shard_map is not None


@on_citus
async def test_a_shard_that_was_split_is_written_to_without_functions_until_the_next_upgrade(
    server: str, postgres_url: str, tenant: str
) -> None:
    async with SQLAlchemySaver.from_conn_string(server, schema=tenant) as saver:
        await saver.setup(shards=2)
        for number in range(8):
            await chain(saver, f"t{number}", 1)
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            before = functions(connection, tenant)[0]
            split(connection, tenant)
            # The saver does not know yet.
            for number in range(8):
                await chain(saver, f"t{number}", 1, name="later")
            shard_map = saver.store.runner.abilities.shard_map
            assert shard_map is not None
            assert [shard is None for shard in shard_map.shards] == [True, True, False]
            assert len(await saver.alist(None)) == 16
            await saver.setup()
            shard_map = saver.store.runner.abilities.shard_map
            assert shard_map is not None
            assert None not in shard_map.shards
            after = functions(connection, tenant)[0]
        assert len(after) == 2 + 3 * 2
        assert len(before - after) == 2
        await chain(saver, "new", 2)
        assert len(await saver.alist(None)) == 18


def split(connection: Connection[TupleRow], schema: str) -> None:
    """Split the first shard in two, where it is."""
    connection.execute(
        "SELECT citus_split_shard_by_split_points(shardid, ARRAY['-1073741824'], ARRAY[nodeid, nodeid], 'block_writes') "
        "FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) JOIN pg_dist_node USING (groupid) "
        "WHERE logicalrelid = %s::regclass AND shardminvalue = '-2147483648'",
        (f'"{schema}".ckpt_thread',),
    )
