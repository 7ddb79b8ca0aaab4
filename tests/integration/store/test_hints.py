"""Who points a saver at another saver's database is told how to bring its threads in."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.db.connection import Db
from ckptstore.store import hints
from tests.support.background import recorded_events
from tests.support.build import config, put


def create_official(url: str) -> None:
    tables = {"checkpoints", "writes"} if "postgresql" not in url else {"checkpoints", "checkpoint_blobs", "checkpoint_writes"}
    statements = [f"CREATE TABLE {name} (thread_id TEXT)" for name in tables]
    if "postgresql" in url:
        with psycopg.connect(url.replace("+asyncpg", "").replace("+psycopg", ""), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)
        return
    with closing(sqlite3.connect(url)) as file:
        for statement in statements:
            file.execute(statement)


def test_the_command_is_logged_until_there_are_threads(bare_url: str) -> None:
    with SQLAlchemySaver.from_conn_string(bare_url) as saver, recorded_events("other_saver_found") as said:
        saver.setup()
        assert said.records == []
    create_official(bare_url)
    with recorded_events("other_saver_found") as said:
        for _ in range(2):
            with SQLAlchemySaver.from_conn_string(bare_url) as saver:
                assert list(saver.list(None)) == []
                assert list(saver.list(None)) == []
        assert len(said.records) == 2
        with SQLAlchemySaver.from_conn_string(bare_url) as saver:
            asyncio.run(_put(saver))
        with SQLAlchemySaver.from_conn_string(bare_url) as saver:
            assert len(list(saver.list(None))) == 1
        assert len(said.records) == 3


async def _put(saver: SQLAlchemySaver) -> None:
    await put(saver, config("t"))


def test_a_saver_that_opens_looks_for_threads_only_beside_another_savers_tables(bare_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a cluster that would take every node."""
    looked: list[object] = []

    def noted(db: Db) -> bool:
        looked.append(db)
        return False

    monkeypatch.setattr(hints, "has_threads", noted)
    for number in range(2):
        with SQLAlchemySaver.from_conn_string(bare_url) as saver:
            saver.setup()
        assert len(looked) == number
        if number == 0:
            create_official(bare_url)


def test_the_logged_command_works(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import shlex

    from langgraph.checkpoint.sqlite import SqliteSaver

    from tests.langgraph.imports.test_official_sqlite import contents, fill

    file = tmp_path / "an app.sqlite"
    with SqliteSaver.from_conn_string(str(file)) as official:
        fill(official)
        before = contents(official)
    with SQLAlchemySaver.from_conn_string(file) as saver:
        assert list(saver.list(None)) == []
    command = caplog.text.partition("ckptstore import ")[2].splitlines()[0]
    assert CliRunner().invoke(main, ["import", *shlex.split(command)]).exit_code == 0
    with SQLAlchemySaver.from_conn_string(file) as saver:
        assert contents(saver) == before


def test_an_upgrade_of_an_empty_server_says_so(postgres_url: str) -> None:
    from tests.support.databases import empty_tables

    empty_tables(postgres_url)
    done = CliRunner().invoke(main, ["upgrade", "--url", postgres_url])
    assert "it has no threads yet; bring yours with: ckptstore copy" in done.output
    with SQLAlchemySaver.from_conn_string(postgres_url) as saver:
        asyncio.run(_put(saver))
    assert "no threads" not in CliRunner().invoke(main, ["upgrade", "--url", postgres_url]).output
