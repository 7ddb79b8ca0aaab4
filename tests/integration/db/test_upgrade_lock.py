"""Upgrades beside other processes: the others wait within a bound, and learn since when; tags are made once."""

from __future__ import annotations

import argparse
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import event

from ckptstore import DatabaseSettings, SQLAlchemySaver
from ckptstore.db import schema, upgrade_lock
from ckptstore.db.open import open_database
from ckptstore.db.url import parse_database_url
from ckptstore.errors import DatabaseUnavailable, UpgradeUnderWay
from tests.support.background import recorded_events
from tests.support.build import config, put
from tests.support.databases import new_database

CHECKOUT = Path(__file__).parents[3]
LOCK = "SELECT pg_advisory_xact_lock(1667985524)"


@pytest.fixture(params=["sqlite", "asyncpg", "psycopg"])
def old_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database at the first revision."""
    if request.param == "sqlite":
        upgrade_by_alembic(str(tmp_path / "old.sqlite"), "0001")
        yield str(tmp_path / "old.sqlite")
        return
    with new_database(request.getfixturevalue("postgres_url"), request.param) as url:
        upgrade_by_alembic(url, "0001")
        yield url


def upgrade_by_alembic(url: str, revision: str) -> None:
    settings = Config()
    settings.set_main_option("script_location", str(CHECKOUT / "migrations"))
    settings.cmd_opts = argparse.Namespace(x=[f"url={url}"])
    command.upgrade(settings, revision)


class Upgrader:
    """Another process that changes the schema and is not done: it holds what an upgrade holds, and has announced itself as one does."""

    def __init__(self, url: str) -> None:
        self._postgres = "postgresql" in url
        self._connection: Any
        if self._postgres:
            self._connection = psycopg.connect(url.replace("+asyncpg", "").replace("+psycopg", ""))
            self._connection.execute(LOCK)
            return
        self._connection = sqlite3.connect(url, isolation_level=None, check_same_thread=False)
        self._connection.execute("CREATE TABLE ckpt_upgrade (started_at TEXT NOT NULL)")
        self._connection.execute("INSERT INTO ckpt_upgrade VALUES ('2026-01-02 03:04:05')")
        self._connection.execute("BEGIN IMMEDIATE")

    def commit(self, statement: str) -> None:
        """Do something, which others see when it is committed."""
        self._connection.execute(statement)
        self._connection.commit()

    def done(self) -> None:
        """It ends, and its locks with it. A second call does nothing."""
        if self._connection is not None:
            self._connection.rollback()
            self._connection.close()
            self._connection = None


@pytest.fixture
def upgrader(old_url: str) -> Iterator[Upgrader]:
    upgrader = Upgrader(old_url)
    yield upgrader
    upgrader.done()


QUICK = DatabaseSettings(busy_timeout_seconds=0.05, retry_seconds=0.05)


def test_a_process_that_wants_to_upgrade_too_learns_since_when_another_one_does(old_url: str, upgrader: Upgrader) -> None:
    with (
        mock.patch.object(upgrade_lock, "WAIT_SECONDS", 0.1),
        SQLAlchemySaver.from_conn_string(old_url, settings=QUICK) as saver,
        pytest.raises(UpgradeUnderWay, match=r"another process is changing the schema since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC") as caught,
    ):
        saver.setup()
    assert not caught.value.transient


def test_it_waits_and_continues_when_the_other_is_done(old_url: str, upgrader: Upgrader) -> None:
    with recorded_events("upgrade_awaited") as awaited, SQLAlchemySaver.from_conn_string(old_url, settings=QUICK) as saver:
        waiting = threading.Thread(target=saver.setup)
        waiting.start()
        assert awaited.came.wait(50)
        upgrader.done()
        waiting.join()
        assert awaited.records[0]["since"].startswith("20")
        assert saver.get_tuple(config("t")) is None


def test_a_saver_that_is_opened_meanwhile_waits_for_the_upgrade(old_url: str, upgrader: Upgrader) -> None:
    checked: list[None] = []
    with recorded_events("upgrade_awaited") as awaited, SQLAlchemySaver.from_conn_string(old_url, settings=QUICK) as saver:
        check = saver.store._schema_gate.check_schema
        waiting = threading.Thread(target=lambda: checked.append(check().result()))
        waiting.start()
        assert awaited.came.wait(50)
        if "postgresql" in old_url:
            upgrader.commit(f"UPDATE ckpt_alembic_version SET version_num = '{schema.HEAD}'")
        upgrader.done()
        waiting.join()
    assert checked == [None]


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
@pytest.mark.parametrize("table", ["ckpt_thread", "ckpt_checkpoint"])
async def test_a_saver_that_meets_the_locks_of_an_upgrade_says_so(postgres_url: str, driver: str, table: str) -> None:
    settings = DatabaseSettings(attempt_seconds=0.3, long_attempt_seconds=0.3, retry_seconds=0.3)
    url = postgres_url.replace("postgresql:", f"postgresql+{driver}:")
    # It locks the shards of a cluster too, which LOCK TABLE does not.
    change = f"ALTER TABLE {table} ADD COLUMN another integer"
    async with SQLAlchemySaver.from_conn_string(url, settings=settings) as saver:
        await put(saver, config("locked"))
        with psycopg.connect(postgres_url) as upgrader:
            upgrader.execute(LOCK)
            upgrader.execute(change)
            with pytest.raises(UpgradeUnderWay, match=r"another process is changing the schema since 20\d\d-") as caught:
                await put(saver, config("locked"))
            assert caught.value.transient
            upgrader.rollback()
            # Another lock is no upgrade.
            upgrader.execute(change)
            with pytest.raises(DatabaseUnavailable) as other:
                await put(saver, config("locked"))
            assert not isinstance(other.value, UpgradeUnderWay)
            upgrader.rollback()
        await put(saver, config("locked"))
        await saver.adelete_thread("locked")


async def test_what_an_upgrade_that_was_killed_announced_does_no_harm(old_url: str) -> None:
    if "postgresql" not in old_url:
        killed = Upgrader(old_url)
        killed.done()
    async with SQLAlchemySaver.from_conn_string(old_url) as saver:
        await saver.setup()
        await put(saver, config("t"))
    assert "ckpt_upgrade" not in tables(old_url)


def test_an_upgrade_that_fails_takes_its_announcement_back(tmp_path: Path) -> None:
    url = str(tmp_path / "old.sqlite")
    upgrade_by_alembic(url, "0001")
    with closing(sqlite3.connect(url)) as connection:
        connection.execute("CREATE TABLE ckpt_setting (in_the_way)")
    with SQLAlchemySaver.from_conn_string(url) as saver, pytest.raises(Exception, match="ckpt_setting"):
        saver.setup()
    assert "ckpt_upgrade" not in tables(url)


def tables(url: str) -> set[str]:
    database = open_database(parse_database_url(url), DatabaseSettings())
    catalogue = "SELECT tablename FROM pg_tables" if "postgresql" in url else "SELECT name FROM sqlite_master"
    try:
        return {name for (name,) in database.read(lambda db: db.execute(catalogue)).result()}
    finally:
        database.close()


def test_tags_are_made_once_in_an_upgrade_over_all_revisions(old_url: str) -> None:
    database = open_database(parse_database_url(old_url), DatabaseSettings())
    engine = database._engine  # type: ignore[attr-defined]
    statements: list[str] = []
    event.listen(getattr(engine, "sync_engine", engine), "before_cursor_execute", lambda *args: statements.append(args[2]))
    try:
        database.write(schema.upgrade_if_needed).result()
    finally:
        database.close()
    assert sum(statement.startswith("DELETE FROM ckpt_tag") for statement in statements) == 1
