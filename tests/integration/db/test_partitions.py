"""Partitioned tables on PostgreSQL: creating and converting them, and that statements find rows by key in them.

`make test-partitions` runs everything that knows PostgreSQL on such tables.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from click.testing import CliRunner
from langgraph.checkpoint.base import CheckpointTuple
from psycopg.sql import SQL, Identifier
from sqlalchemy import ClauseElement
from sqlalchemy.dialects.postgresql import asyncpg

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.db import schema, sql
from ckptstore.db.sql.tables import PARTITIONED
from ckptstore.errors import InvalidConfig, StoreMoved
from ckptstore.transfer.seal import Seal, seal_store
from tests.support.build import chain, config, put
from tests.support.databases import PARTITIONS, empty_tables
from tests.support.rows import Rows

on_partitions = pytest.mark.parametrize("url", ["asyncpg partitioned", "psycopg partitioned"], indirect=True)


def partitions(url: str, tenant: str) -> dict[str, int]:
    """How many partitions each table has."""
    query = (
        "SELECT c.relname, count(i.inhrelid) FROM pg_class c LEFT JOIN pg_inherits i ON i.inhparent = c.oid "
        "WHERE c.relnamespace = quote_ident(%s)::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition GROUP BY c.relname"
    )
    with psycopg.connect(url) as connection:
        return dict(connection.execute(query, (tenant,)).fetchall())


async def fill(saver: SQLAlchemySaver, threads: int = 12) -> None:
    for number in range(threads):
        for where in await chain(saver, f"t{number}", 4, run_id=f"run {number}"):
            await saver.aput_writes(where, [("n", [number, "word " * 400])], "task")
        await put(saver, config(f"t{number}", checkpoint_ns="inner"), {"text": ["long " * 400]})


async def readings(saver: SQLAlchemySaver) -> dict[str, list[CheckpointTuple]]:
    return {
        thread.thread_id: await saver.alist({"configurable": {"thread_id": thread.thread_id}}) for thread in await saver.alist_threads()
    }


async def test_tables_with_rows_are_converted_and_read_as_before(server: str, postgres_url: str, tenant: str) -> None:
    async with SQLAlchemySaver.from_conn_string(server, schema=tenant) as saver:
        await saver.setup()
        await fill(saver)
        before = Rows.of(saver).tables
        read_before = await readings(saver)
        assert set(partitions(postgres_url, tenant).values()) == {0}
        await saver.setup(partitions=3)
        assert partitions(postgres_url, tenant).items() >= {(table, 3) for table in PARTITIONED}
        assert {name: sorted(map(repr, rows)) for name, rows in Rows.of(saver).tables.items()} == {
            name: sorted(map(repr, rows)) for name, rows in before.items()
        }
        assert await readings(saver) == read_before
        await put(saver, config("t1"), {"n": 1})
        await saver.adelete_thread("t2")
        assert Rows.of(saver).orphans() == {}
        assert (await saver.avacuum()).before_bytes > 5 * 3 * 8192


async def test_partitioned_tables_equal_the_models_and_go_through_migrations(server: str, postgres_url: str, tenant: str) -> None:
    async with SQLAlchemySaver.from_conn_string(server, schema=tenant) as saver:
        await saver.setup(partitions=2)
        indexes = "SELECT indexname FROM pg_indexes WHERE schemaname = %s AND tablename = ANY(%s) ORDER BY 1"
        with psycopg.connect(postgres_url) as connection:
            partitioned = connection.execute(indexes, (tenant, list(PARTITIONED))).fetchall()
            plain = connection.execute(indexes, ("public", list(PARTITIONED))).fetchall()
        assert partitioned == plain
        await fill(saver, 3)
        before = await readings(saver)
        alembic = Config("alembic.ini")
        alembic.cmd_opts = type("Options", (), {"x": [f"url={server}", f"schema={tenant}"]})()
        await asyncio.to_thread(command.check, alembic)
        saver.store.runner.write(lambda db: schema.downgrade(db, "0003")).result()
        await saver.setup()
        assert partitions(postgres_url, tenant)["ckpt_write"] == 2
        assert await readings(saver) == before


async def test_another_number_of_partitions_is_refused_and_the_same_changes_nothing(server: str, tenant: str) -> None:
    async with SQLAlchemySaver.from_conn_string(server, schema=tenant) as saver:
        await saver.setup(partitions=2)
        await saver.setup(partitions=2)
        await saver.setup()
        with pytest.raises(InvalidConfig, match="has 2 partitions, which can't become 3"):
            await saver.setup(partitions=3)
        await fill(saver, 2)
        assert len(await saver.alist_threads()) == 2


@pytest.mark.parametrize("count", [0, 1, -2, 1001, True, 2.0, "4"])
async def test_no_number_of_partitions_is_refused(server: str, tenant: str, count: Any) -> None:
    async with SQLAlchemySaver.from_conn_string(server, schema=tenant) as saver:
        with pytest.raises(InvalidConfig, match="partitions must be a whole number from 2 to 1000"):
            await saver.setup(partitions=count)


async def test_sqlite_has_no_partitions(tmp_path: Any) -> None:
    async with SQLAlchemySaver.from_conn_string(str(tmp_path / "a.sqlite")) as saver:
        with pytest.raises(InvalidConfig, match="SQLite has no partitions"):
            await saver.setup(partitions=4)
        await chain(saver, "t", 1)
    result = CliRunner().invoke(main, ["upgrade", "--url", str(tmp_path / "b.sqlite"), "--partitions", "4"])
    assert (result.exit_code, "SQLite has no partitions" in result.output) == (1, True)
    assert not (tmp_path / "b.sqlite").exists()


def test_the_command_line_partitions(server: str, postgres_url: str, tenant: str) -> None:
    for arguments, code in ((["--partitions", "2"], 0), (["--partitions", "2"], 0), ([], 0), (["--partitions", "3"], 1)):
        result = CliRunner().invoke(main, ["upgrade", "--url", server, "--schema", tenant, *arguments])
        assert result.exit_code == code, result.output
    assert partitions(postgres_url, tenant)["ckpt_thread"] == 2


async def test_privileges_stay(postgres_url: str, tenant: str) -> None:
    role = f"reader_{uuid4().hex}"
    async with SQLAlchemySaver.from_conn_string(postgres_url, schema=tenant) as saver:
        await saver.setup()
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(SQL("CREATE ROLE {}").format(Identifier(role)))
            granted = SQL("GRANT SELECT, INSERT ON {}.ckpt_write TO {}").format(Identifier(tenant), Identifier(role))
            connection.execute(granted)
            await saver.setup(partitions=2)
            privileges = "SELECT privilege_type FROM information_schema.role_table_grants WHERE grantee = %s AND table_name = %s ORDER BY 1"
            found = connection.execute(privileges, (role, "ckpt_write")).fetchall()
            connection.execute(SQL("DROP OWNED BY {role}; DROP ROLE {role}").format(role=Identifier(role)))
    assert [name for (name,) in found] == ["INSERT", "SELECT"]


DEPENDENTS = {
    "view": "CREATE VIEW shown AS SELECT thread_id FROM ckpt_thread",
    "constraint": 'CREATE TABLE owner (thread_id text COLLATE "C" REFERENCES ckpt_thread)',
    "policy": "CREATE POLICY mine ON ckpt_write USING (true)",
    "publication": "CREATE PUBLICATION of_tenant FOR TABLE ckpt_segment",
    "statistics": "CREATE STATISTICS related ON channel, version FROM ckpt_channel",
}


@pytest.mark.parametrize("dependent", DEPENDENTS)
async def test_what_depends_on_a_table_is_named_and_not_lost(postgres_url: str, tenant: str, dependent: str) -> None:
    async with SQLAlchemySaver.from_conn_string(postgres_url, schema=tenant) as saver:
        await saver.setup()
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(SQL("SET search_path TO {}").format(Identifier(tenant)))
            connection.execute(DEPENDENTS[dependent])
        with pytest.raises(InvalidConfig, match=f"can't be partitioned while it has dependents .*{dependent}"):
            await saver.setup(partitions=2)
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("DROP PUBLICATION IF EXISTS of_tenant")
        assert partitions(postgres_url, tenant)["ckpt_write"] == 0
        await chain(saver, "t", 1)


async def test_a_sealed_store_stays_sealed(postgres_url: str, tenant: str) -> None:
    async with SQLAlchemySaver.from_conn_string(postgres_url, schema=tenant) as saver:
        await saver.setup()
        saver.store.runner.write(partial(seal_store, seal=Seal("elsewhere", 5))).result()
        with pytest.raises(InvalidConfig, match="trigger"):
            await saver.setup(partitions=2)
        with pytest.raises(StoreMoved):
            await chain(saver, "t", 1)


# --- rows by key ---------------------------------------------------------------------------------------------------------


@on_partitions
async def test_what_is_deleted_of_one_thread_touches_no_row_of_others(saver: SQLAlchemySaver) -> None:
    await fill(saver)
    before = await readings(saver)
    await saver.aprune(["t0"])
    await saver.adelete_for_runs(["run 1"])
    await saver.adelete_thread("t2")
    await saver.acopy_thread("t3", "copy")
    after = await readings(saver)
    assert len(after.pop("t0")) == 2
    assert [found.config["configurable"]["checkpoint_ns"] for found in after.pop("t1")] == ["inner"]
    assert len(after.pop("copy")) == 5
    assert after == {thread_id: found for thread_id, found in before.items() if thread_id not in ("t0", "t1", "t2")}
    assert Rows.of(saver).orphans() == {}


@on_partitions
async def test_many_threads_are_written_at_once(saver: SQLAlchemySaver) -> None:
    # The same thread is put to twice in a batch, and checkpoints are replaced.
    wheres = await asyncio.gather(*[put(saver, config(f"t{n % 20}"), {"n": n, "text": ["long " * 400]}) for n in range(60)])
    await asyncio.gather(*[saver.aput_writes(where, [("n", n)], "task") for n, where in enumerate(wheres)])
    found = await saver.alist(None)
    assert len(found) == 60
    threads = [config(each.config["configurable"]["thread_id"]) for each in found]
    await asyncio.gather(*[saver.aput(where, each.checkpoint, each.metadata, {}) for where, each in zip(threads, found, strict=True)])
    assert {thread.checkpoints for thread in await saver.alist_threads()} == {3}
    assert Rows.of(saver).orphans() == {}


BY_KEY = {
    "hide": (sql.prune.hide_checkpoints, "ckpt_checkpoint"),
    "checkpoints": (sql.prune.delete_checkpoints, "ckpt_checkpoint"),
    "writes": (sql.prune.delete_writes, "ckpt_write"),
    "values": (sql.prune.delete_values, "ckpt_channel"),
    "tags": (sql.delete.delete_tags, "ckpt_tag_posting"),
}


@pytest.mark.parametrize("partitioned", [False, True], ids=["plain", "partitioned"])
@pytest.mark.parametrize("name", BY_KEY)
def test_rows_are_deleted_by_their_keys_whatever_is_known_of_the_table(
    request: pytest.FixtureRequest, name: str, partitioned: bool
) -> None:
    url: str = request.getfixturevalue("partitioned_url" if partitioned else "postgres_url")
    build, table = BY_KEY[name]
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        # Even an empty table: the server forgets what a test's VACUUM found in it.
        connection.execute(f"TRUNCATE {table}")
        # A plan that was made for an empty table is kept while the table grows.
        assert reads_whole(connection, build("postgresql"), table) == []
        connection.execute(FILL[table])
        assert reads_whole(connection, build("postgresql"), table) == []
        connection.execute(f"ANALYZE {table}")
        assert reads_whole(connection, build("postgresql"), table) == []
    empty_tables(url)


FILL = {
    "ckpt_checkpoint": "INSERT INTO ckpt_checkpoint "
    "SELECT 't' || i, '', i::text, NULL, 0, 4, 'x', repeat('x', 300)::bytea, '{}', '{}', 0, FALSE",
    "ckpt_write": "INSERT INTO ckpt_write SELECT 't' || i, '', i::text, 'x', 0, 'x', 'x', 0, 'x', 0, repeat('x', 300)::bytea, NULL",
    "ckpt_channel": "INSERT INTO ckpt_channel SELECT 't' || i, '', 'c', i::text, 'x', 0, repeat('x', 300)::bytea, NULL",
    "ckpt_tag_posting": "INSERT INTO ckpt_tag_thread (thread_id) SELECT 't' || i FROM generate_series(1, 5000) AS i;"
    "INSERT INTO ckpt_tag_value (key, value) SELECT 'k', 's' || i FROM generate_series(1, 5000) AS i;"
    "INSERT INTO ckpt_tag_posting SELECT i, lpad(to_hex(i), 16, '0')::macaddr8, i, NULL, i::text, NULL",
}
FILL = {table: f"{text} FROM generate_series(1, 5000) AS i" for table, text in FILL.items()}


def reads_whole(connection: psycopg.Connection[Any], statement: ClauseElement, table: str) -> list[str]:
    """The lines of a statement's generic plan that read a table, or one of its partitions, from end to end."""
    text = str(statement.compile(dialect=asyncpg.dialect()))  # type: ignore[no-untyped-call]
    count = text.count("$")
    connection.execute("SET plan_cache_mode = force_generic_plan")
    connection.execute(f"PREPARE explained AS {text}")
    plan = connection.execute(f"EXPLAIN EXECUTE explained ({', '.join(['NULL'] * count)})").fetchall()
    connection.execute("DEALLOCATE explained")
    assert any(table in line for (line,) in plan)
    return [line for (line,) in plan if "Seq Scan" in line]


def test_the_partitioned_database_of_the_tests_is_partitioned(partitioned_url: str) -> None:
    assert partitions(partitioned_url, "public").items() >= {(table, PARTITIONS) for table in PARTITIONED}
