"""SQLite's connections are durable, readable while one writes, and may be used by any thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.sqlite import SqliteRunner
from ckptstore.db.sqlite_engine import holds_whole_database, sqlite_engine
from ckptstore.db.url import parse_database_url
from tests.integration.db.test_sqlite import running


@pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
def test_every_connection_is_configured(tmp_path: Path, synchronous: Any) -> None:
    with running(str(tmp_path / "c.sqlite"), synchronous=synchronous) as runner:
        names = ("journal_mode", "synchronous", "auto_vacuum")
        for run in (runner.write, runner.read):
            found = run(lambda db: [db.execute(f"PRAGMA {name}").scalar_one() for name in names]).result()
            assert found == ["wal", 2 if synchronous == "FULL" else 1, 2]


def test_a_file_that_is_shorter_than_its_database_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    runner = SqliteRunner(parse_database_url(str(path)), DatabaseSettings())
    runner.write(lambda db: db.execute("CREATE TABLE it (number)")).result()
    runner.close()
    size = path.stat().st_size
    engine = sqlite_engine(parse_database_url(str(path)), DatabaseSettings(connect_args={"check_same_thread": True}))
    assert holds_whole_database(engine, size)
    with path.open("r+b") as file:
        file.truncate(size // 2)
    assert not holds_whole_database(engine, size // 2)
    assert not holds_whole_database(engine, 0)
    engine.dispose()
