"""Giving space back, and `ckptstore prune` and `vacuum` as cron runs them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidConfig
from tests.support.deleted_rows import TEXT, fill_and_delete, pragma
from tests.support.large_thread import transactions


async def test_a_sqlite_file_gets_smaller(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    await fill_and_delete(path)
    before = path.stat().st_size
    assert pragma(path, "freelist_count") > 100
    async with SQLAlchemySaver.from_conn_string(path) as saver:
        # Hundreds of pages a transaction, not one.
        with transactions() as steps:
            report = await saver.avacuum()
        assert len(steps) <= 2
        assert path.stat().st_size == report.after_bytes < before / 4
        assert report.before_bytes == before
        assert pragma(path, "freelist_count") == 0
        assert saver.vacuum() == (report.after_bytes, report.after_bytes)
        assert [found.checkpoint["channel_values"]["text"] for found in await saver.alist(None)] == TEXT[:-6:-1]


async def test_a_file_that_another_tool_made_needs_it_once_in_full(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.execute("INSERT INTO theirs VALUES ('stays')")
    connection.commit()
    connection.close()
    await fill_and_delete(path)
    size = path.stat().st_size
    async with SQLAlchemySaver.from_conn_string(path) as saver:
        with pytest.raises(InvalidConfig, match="ckptstore vacuum --full"):
            await saver.avacuum()
        assert (path.stat().st_size, pragma(path, "auto_vacuum")) == (size, 0)
        report = await saver.avacuum(full=True)
        assert path.stat().st_size == report.after_bytes < size / 4
        assert (pragma(path, "auto_vacuum"), pragma(path, "freelist_count")) == (2, 0)
        await saver.adelete_thread(f"t{len(TEXT) - 1}")
        assert (await saver.avacuum()).after_bytes <= report.after_bytes
        assert len(await saver.alist(None)) == 4
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT x FROM theirs").fetchall() == [("stays",)]
    connection.close()


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("lasting_url", ["asyncpg", "psycopg"], indirect=True)
async def test_postgresql_clears_its_tables(lasting_url: str, full: bool) -> None:
    await fill_and_delete(lasting_url)
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        report = await saver.avacuum(full=full)
        assert report.before_bytes > 0
        assert report.after_bytes < report.before_bytes / 2 if full else report.after_bytes > 0
        assert len(await saver.alist(None)) == 5


# --- from the command line ----------------------------------------------------------------------------------------------
