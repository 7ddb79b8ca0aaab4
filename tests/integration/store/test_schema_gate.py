"""No operation touches a database whose schema does not fit."""

from __future__ import annotations

import asyncio
import re

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db import schema
from ckptstore.db.open import open_database
from ckptstore.db.open_read_only import open_read_only
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.url import parse_database_url
from ckptstore.errors import SchemaOutOfDate, SchemaTooNew
from tests.support.build import config, put


async def test_a_server_database_is_upgraded_only_when_asked(bare_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(bare_url) as saver:
        if "postgresql" in bare_url:
            for _ in range(2):
                with pytest.raises(
                    SchemaOutOfDate, match=f"has no schema, this release needs revision {schema.HEAD}; run: ckptstore upgrade"
                ):
                    await saver.aget_tuple(config("t"))
            await saver.setup()
        await put(saver, config("t"))
        await saver.setup()
        assert await saver.aget_tuple(config("t")) is not None


def set_revision(url: str, revision: str) -> None:
    database = open_database(parse_database_url(url), DatabaseSettings())
    database.write(lambda db: db.connection.exec_driver_sql(f"UPDATE ckpt_alembic_version SET version_num = '{revision}'")).result()
    database.close()


async def test_a_schema_of_another_release_is_refused_by_name(bare_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with SQLAlchemySaver.from_conn_string(bare_url) as saver:
        await saver.setup()
    set_revision(bare_url, "9999")
    async with SQLAlchemySaver.from_conn_string(bare_url) as saver:
        for attempt in (saver.setup(), saver.aget_tuple(config("t"))):
            with pytest.raises(
                SchemaTooNew, match=f"has revision 9999, the newest that this release knows is {schema.HEAD}; run: pip install"
            ):
                await attempt
    set_revision(bare_url, schema.HEAD)
    monkeypatch.setattr(schema, "REVISIONS", (*schema.REVISIONS, "0099"))
    monkeypatch.setattr(schema, "HEAD", "0099")
    if "postgresql" in bare_url:
        async with SQLAlchemySaver.from_conn_string(bare_url) as saver:
            with pytest.raises(SchemaOutOfDate, match=r"has revision \d+, this release needs revision 0099; run: ckptstore upgrade"):
                await saver.aget_tuple(config("t"))


def test_the_command_names_the_file_and_not_the_database_of_the_environment(sqlite_url: str) -> None:
    with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        saver.setup().result()
    set_revision(sqlite_url, "0001")
    with pytest.raises(SchemaOutOfDate, match=f"run: ckptstore upgrade --url {re.escape(sqlite_url)} "):
        open_read_only(parse_database_url(sqlite_url), DatabaseSettings())


def test_setting_up_twice_on_one_loop_is_harmless(bare_url: str) -> None:
    async def run() -> None:
        async with SQLAlchemySaver.from_conn_string(bare_url) as saver:
            await asyncio.gather(saver_setup(saver), saver_setup(saver))
            await put(saver, config("t"))

    async def saver_setup(saver: SQLAlchemySaver) -> None:
        await saver.setup()

    asyncio.run(run())
