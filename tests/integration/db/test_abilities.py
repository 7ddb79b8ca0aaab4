"""The function that stores batches is used where it is the tables' own, and may be called; anywhere else batches are one statement."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.sql import SQL, Identifier

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.db.connection import Db
from ckptstore.records import Value
from ckptstore.writes.commit import commit_batch
from tests.support.attempts import new_checkpoint
from tests.support.build import chain, config
from tests.support.databases import beside, on_one_server
from tests.support.faults import reported_statements

FUNCTION = "ckpt_commit_batch_1"
CALL = f".{FUNCTION}("


@pytest.fixture(params=["asyncpg", "psycopg"])
def database(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[Callable[..., str]]:
    """A database without a schema; gives its URL, for a driver and a role."""
    name = f"abilities_{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield lambda driver=f"+{request.param}", role="postgres": beside(postgres_url, name).replace(
            "postgresql://postgres", f"postgresql{driver}://{role}"
        )
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


# What the server decides is the same for both drivers, and each test creates a database.
one_driver = pytest.mark.parametrize("database", ["asyncpg"], indirect=True)


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@contextmanager
def a_role(url: str) -> Iterator[str]:
    """A role that owns nothing."""
    role = f"role_{uuid4().hex}"
    execute(url, f"CREATE ROLE {role} LOGIN")
    try:
        yield role
    finally:
        execute(url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


async def calls(url: str, thread_id: str = "t", schema: str | None = None) -> list[bool]:
    """Store two checkpoints; returns for each batch whether the function stored it."""
    seen: list[str] = []
    async with SQLAlchemySaver.from_conn_string(url, schema=schema) as saver:
        assert await saver.aget_tuple(config(thread_id)) is None
        with reported_statements(saver, lambda when, statement: seen.append(statement) if when == "before" else None):
            await chain(saver, thread_id, 2)
        assert [found.metadata["step"] for found in await saver.alist(config(thread_id))] == [1, 0]
        assert [thread.checkpoints for thread in await saver.alist_threads() if thread.thread_id == thread_id] == [2]
    return [CALL in statement for statement in seen]


async def set_up(url: str, schema: str | None = None) -> None:
    async with SQLAlchemySaver.from_conn_string(url, schema=schema) as saver:
        await saver.setup()


async def test_the_function_is_called_where_the_migration_created_it(database: Callable[..., str]) -> None:
    await set_up(database())
    assert await calls(database()) == [True, True]


@one_driver
@pytest.mark.parametrize(
    "statement",
    [
        f"DROP FUNCTION {FUNCTION}",
        f"REVOKE EXECUTE ON FUNCTION {FUNCTION} FROM PUBLIC, postgres",
        "ALTER ROLE ALL SET default_transaction_isolation = 'repeatable read'",
        "ALTER ROLE ALL SET default_transaction_isolation = 'serializable'",
    ],
    ids=["dropped", "revoked", "repeatable read", "serializable"],
)
async def test_without_it_batches_are_one_statement(database: Callable[..., str], statement: str) -> None:
    await set_up(database())
    with a_role(database("")) as role:
        execute(database(""), f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        execute(database(""), statement.replace("ROLE ALL", f"ROLE {role}"))
        assert await calls(database(role=role)) == [False, False]


@pytest.mark.parametrize(
    "statement", [f"DROP FUNCTION {FUNCTION}", f"REVOKE EXECUTE ON FUNCTION {FUNCTION} FROM PUBLIC, postgres"], ids=["dropped", "revoked"]
)
async def test_a_saver_goes_on_when_the_function_is_lost(
    database: Callable[..., str], caplog: pytest.LogCaptureFixture, statement: str
) -> None:
    await set_up(database())
    with a_role(database("")) as role:
        execute(database(""), f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        async with SQLAlchemySaver.from_conn_string(database(role=role)) as saver:
            await chain(saver, "before", 1)
            execute(database(""), statement)
            await chain(saver, "after", 2)
            assert [thread.checkpoints for thread in await saver.alist_threads(order_by="thread_id")] == [2, 1]
    # Once, and not for every batch.
    assert caplog.text.count("batches are stored by one statement from now on") == 1


@one_driver
async def test_it_reads_no_whole_table_although_the_tables_are_known_to_be_small(database: Callable[..., str]) -> None:
    scans = "SELECT coalesce(sum(seq_scan), 0)::int FROM pg_stat_xact_user_tables WHERE starts_with(relname, 'ckpt_')"
    first = new_checkpoint("t", "1", values=[("text", "1", Value("msgpack", b"x" * 5_000))])

    def look(db: Db) -> int:
        assert db.abilities.batch_function is not None
        commit_batch(db, [first])
        db.execute("ANALYZE")
        with db.transaction():
            before = db.execute(scans).scalar_one()
            assert commit_batch(db, [new_checkpoint("t", "2", carried=[("text", "1")])]) == [None]
            return int(db.execute(scans).scalar_one()) - int(before)

    async with SQLAlchemySaver.from_conn_string(database()) as saver:
        await saver.setup()
        assert saver.store.runner.write(look).result() == 0


@on_one_server
@one_driver
async def test_stores_of_one_process_know_their_own_database(database: Callable[..., str], postgres_url: str) -> None:
    await set_up(database())
    execute(database(""), f"DROP FUNCTION {FUNCTION}")
    driver = database().partition("://")[0]
    async with SQLAlchemySaver.from_conn_string(postgres_url.replace("postgresql", driver, 1)) as other:
        await other.setup()
        await chain(other, "other", 1)
        assert await calls(database()) == [False, False]
        assert other.store.runner.abilities.batch_function == "public"
        await other.adelete_thread("other")


@on_one_server
@one_driver
async def test_on_citus_batches_are_one_statement(database: Callable[..., str]) -> None:
    await set_up(database())
    execute(
        database(""),
        "SET allow_system_table_mods = on",
        # As after CREATE EXTENSION: no table is distributed.
        'CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass, partmethod "char", colocationid int)',
        "CREATE TABLE pg_catalog.pg_dist_shard (logicalrelid regclass)",
        "INSERT INTO pg_extension SELECT 99999, 'citus', 10, extnamespace, false, '1', NULL, NULL FROM pg_extension LIMIT 1",
    )
    assert await calls(database()) == [False, False]


@one_driver
async def test_a_function_of_another_schema_on_the_path_is_not_called(database: Callable[..., str]) -> None:
    await set_up(database())
    await set_up(database(), schema="mine")
    execute(database(""), f"DROP FUNCTION mine.{FUNCTION}", "ALTER ROLE postgres SET search_path = mine, public")
    try:
        assert await calls(database()) == [False, False]
    finally:
        execute(database(""), "ALTER ROLE postgres RESET search_path")
    with psycopg.connect(database("")) as connection:
        assert connection.execute("SELECT count(*) FROM public.ckpt_checkpoint").fetchone() == (0,)


async def test_the_function_of_a_renamed_schema_stores_nothing_in_another_one(database: Callable[..., str]) -> None:
    await set_up(database(), schema="before")
    execute(database(""), "ALTER SCHEMA before RENAME TO after")
    # Another tenant gets the old name.
    await set_up(database(), schema="before")
    # It is called and declines, and the statement follows.
    assert await calls(database(), schema="after") == [True, False] * 2
    with psycopg.connect(database("")) as connection:
        assert connection.execute("SELECT count(*) FROM before.ckpt_checkpoint").fetchone() == (0,)


@one_driver
async def test_a_role_that_can_not_create_functions_upgrades_without(
    database: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    with a_role(database("")) as role:
        execute(database(""), f"GRANT CREATE ON SCHEMA public TO {role}", "REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC")
        with caplog.at_level(logging.WARNING):
            await set_up(database(role=role))
        assert "no function to store batches with" in caplog.text
        assert await calls(database(role=role)) == [False, False]
        # The way to get it later; nothing else changes between the two revisions.
        execute(database(""), "GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC")
        for command in (["downgrade", "0005"], ["upgrade"]):
            done = CliRunner().invoke(main, [*command, "--url", database(role=role)])
            assert done.exit_code == 0, done.output
        assert await calls(database(role=role), "u") == [True, True]
        # What it has may be dropped without the right to make another one.
        execute(database(""), "REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC")
        done = CliRunner().invoke(main, ["downgrade", "0005", "--url", database(role=role)])
        execute(database(""), "GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC")
        assert done.exit_code == 0, done.output
        with psycopg.connect(database("")) as connection:
            assert connection.execute("SELECT count(*) FROM pg_proc WHERE proname = %s", [FUNCTION]).fetchone() == (0,)


@one_driver
async def test_a_downgrade_drops_the_function_of_its_own_schema(database: Callable[..., str]) -> None:
    for schema in ("one", "an 'odd\" 50% :name"):
        await set_up(database(), schema=schema)
    done = CliRunner().invoke(main, ["downgrade", "0005", "--url", database(), "--schema", "an 'odd\" 50% :name"])
    assert done.exit_code == 0, done.output
    with psycopg.connect(database("")) as connection:
        found = connection.execute("SELECT pronamespace::regnamespace::text FROM pg_proc WHERE proname = %s", [FUNCTION]).fetchall()
    assert found == [("one",)]


async def test_a_name_of_any_kind_is_the_functions_too(database: Callable[..., str]) -> None:
    for name in ('it\'s "50%" of %s :b ::text a\\b', "MixedCase"):
        await set_up(database(), schema=name)
        assert await calls(database(), schema=name) == [True, True], name
        execute(database(""), SQL("DROP SCHEMA {} CASCADE").format(Identifier(name)).as_string())
