"""The commands of docs/moving.md run as they are written."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from tests.support.build import checkpoint, config, metadata
from tests.support.databases import empty_tables
from tests.support.documents import commands
from tests.support.official import Place, run_graph
from tests.support.transfers import contents, fill


async def fill_official(place: Place) -> None:
    async with place.open() as saver:
        await run_graph(saver, "plain")


def test_every_command_succeeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str) -> None:
    monkeypatch.chdir(tmp_path)
    official = Place("postgres", tmp_path, postgres_url)
    official.schema = "public"
    asyncio.run(fill_official(Place("sqlite", tmp_path, postgres_url)))
    asyncio.run(fill_official(official))
    empty_tables(postgres_url)
    with SQLAlchemySaver.from_conn_string("checkpoints.sqlite") as saver:
        fill(saver)
        made = checkpoint({"n": 1}, {"n": "1"})
        saver.put(config("ann"), made, metadata(0), {"n": "1"})
        found = commands("moving.md")
        assert len(found) == 10
        for command in found:
            named = [postgres_url if part.startswith("postgresql://") else part for part in command]
            if command[0] == "move" and "--to" in command:
                # Into an empty database, as the page says.
                empty_tables(postgres_url)
            done = CliRunner().invoke(main, named)
            assert done.exit_code == 0, (command, done.output)
        with SQLAlchemySaver.from_conn_string(postgres_url) as moved:
            copied = contents(saver)
            assert contents(moved) == copied
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP TABLE checkpoints, checkpoint_blobs, checkpoint_writes, checkpoint_migrations")
    with SQLAlchemySaver.from_conn_string("case.sqlite") as case:
        assert [thread.thread_id for thread in case.list_threads()] == ["ann"]
