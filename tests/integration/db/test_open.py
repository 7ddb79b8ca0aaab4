"""An engine that the caller owns: what it brings along, and how it survives a fork."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, event
from sqlalchemy.ext.asyncio import create_async_engine

from ckptstore import SQLAlchemySaver
from ckptstore.db.postgres import postgres_engine
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.url import parse_database_url
from tests.support.build import config, put


async def test_an_engine_brings_its_pool_its_hooks_and_its_arguments_along(lasting_url: str) -> None:
    name_of_timeout = "connect_timeout" if "psycopg" in lasting_url else "timeout"
    engine = create_async_engine(parse_database_url(lasting_url), poolclass=NullPool, connect_args={name_of_timeout: 17})
    seen: dict[str, list[Any]] = {"do_connect": [], "connect": [], "checkout": [], "checkin": [], "begin": []}

    @event.listens_for(engine.sync_engine, "do_connect")
    def before_connecting(_dialect: Any, _entry: Any, _arguments: Any, named: dict[str, Any]) -> None:
        # As a token that is fetched for each connection would be put in.
        seen["do_connect"].append(named.get(name_of_timeout))

    @event.listens_for(engine.sync_engine, "connect")
    def connected(dbapi_connection: Any, _entry: Any) -> None:
        cursor = dbapi_connection.cursor()
        cursor.execute("SELECT 1")
        seen["connect"].append(cursor.fetchone())
        cursor.close()

    for name in ("checkout", "checkin", "begin"):
        event.listen(engine.sync_engine, name, lambda *_, name=name: seen[name].append(None))
    async with SQLAlchemySaver(engine) as saver:
        await saver.setup()
        await put(saver, config("t"))
        for _ in range(3):
            assert await saver.aget_tuple(config("t")) is not None
        assert type(saver.store.runner._engine.pool) is NullPool  # type: ignore[attr-defined]
    assert len(seen["connect"]) >= 4, "no connection is used twice for reading"
    assert len(seen["do_connect"]) == len(seen["connect"]) == len(seen["checkout"])
    assert set(seen["do_connect"]) == {17}
    assert set(seen["connect"]) == {(1,)}
    assert seen["checkin"]
    await engine.dispose()


async def test_a_sqlite_file_behind_the_callers_engine_is_durable_and_in_wal_mode(tmp_path: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'c.sqlite'}")
    async with SQLAlchemySaver(engine) as saver:
        await put(saver, config("t"))
        pragmas = ("journal_mode", "synchronous", "auto_vacuum")
        found = saver.store.runner.read(lambda db: [db.execute(f"PRAGMA {name}").scalar_one() for name in pragmas]).result()
    assert found == ["wal", 2, 2]
    await engine.dispose()


@pytest.mark.parametrize("path", ["public", '"an odd ""name""", public'])
async def test_sqlalchemy_is_told_of_a_server_what_it_would_ask(postgres_url: str, path: str) -> None:
    url = parse_database_url(postgres_url.replace("postgresql:", "postgresql+asyncpg:"))
    settings = DatabaseSettings(connect_args={"server_settings": {"search_path": path, "default_transaction_isolation": "serializable"}})
    told, asked = postgres_engine(url, settings), create_async_engine(url, connect_args=settings.connect_args)
    found = []
    for engine in (told, asked):
        async with engine.connect() as connection:
            found.append((await connection.exec_driver_sql("SHOW plan_cache_mode")).scalar())
        dialect: Any = engine.dialect
        found += [dialect.server_version_info, dialect.default_schema_name, dialect.default_isolation_level, dialect._backslash_escapes]
        await engine.dispose()
    assert (found[0], found[5]) == ("force_generic_plan", "auto")
    assert found[1:5] == found[6:]
