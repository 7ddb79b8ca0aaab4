"""A schema may have any name that PostgreSQL keeps; none of them becomes a part of a statement."""

from __future__ import annotations

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.sql import SQL, Identifier

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.db.models import Base
from ckptstore.db.sql.tables import PARTITIONED
from tests.support.build import config, put
from tests.support.revisions import offline_sql

NAMES = {
    "injection": '"; DROP TABLE public.victim; --',
    "quote": "it's",
    "percent": "50% of %s %x",
    "colon": "a :b ::text",
    "dot": "a.b",
    "case": "MixedCase",
    "keyword": "select",
    "unicode": "Überschön",
    "backslash": "a\\b",
}


def on(driver: str, url: str) -> str:
    return url.replace("postgresql:", f"postgresql+{driver}:")


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
async def test_everything_that_names_the_schema_quotes_it(postgres_url: str, driver: str, name: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.victim ()")
        try:
            async with SQLAlchemySaver.from_conn_string(on(driver, postgres_url), schema=name) as saver:
                await saver.setup()
                await put(saver, config("t"), {"text": "x" * 2_000}, 1)
                assert len(await saver.alist(None, filter={"step": 1})) == 1
                for full in (False, True):
                    report = await saver.avacuum(full=full)
                    assert report.before_bytes > 0
                    assert report.after_bytes > 0
                assert (await saver.averify()).ok
                await saver.aprune(["t"])
                await saver.adelete_thread("t")
                await saver.setup(partitions=2)
                await put(saver, config("t"), {"text": "x" * 2_000}, 1)
                assert len(await saver.alist(None, filter={"step": 1})) == 1
                await saver.avacuum(full=True)
            in_schema = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = %s", [name]).fetchone()
            assert in_schema == (len(Base.metadata.tables) + 1 + 2 * len(PARTITIONED),)
            connection.execute("SELECT FROM public.victim")
        finally:
            connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(name)))
            connection.execute("DROP TABLE IF EXISTS public.victim")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_the_command_line_takes_the_same_names(postgres_url: str, name: str) -> None:
    runner = CliRunner()
    try:
        refused = runner.invoke(main, ["vacuum", "--url", postgres_url, "--schema", name])
        assert refused.exit_code == 1
        assert "run: ckptstore upgrade --schema" in refused.output
        for command in (["upgrade"], ["vacuum"], ["blobs", "verify"], ["downgrade", "base"]):
            done = runner.invoke(main, [*command, "--url", postgres_url, "--schema", name])
            assert done.exit_code == 0, done.output
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(name)))


def test_offline_sql_quotes_the_name(postgres_url: str) -> None:
    name = " ".join(name for key, name in NAMES.items() if key not in ("unicode", "colon"))[:63]
    sql = offline_sql(name)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        try:
            connection.execute(sql.encode())
            found = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = %s", [name]).fetchone()
        finally:
            connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(name)))
    assert found == (len(Base.metadata.tables) + 1,)
