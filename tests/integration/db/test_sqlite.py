"""The runner of SQLite: one writer, readers beside it, and connections that are durable."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ckptstore.db.connection import Db
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.sqlite import SqliteRunner
from ckptstore.db.url import parse_database_url
from ckptstore.errors import StoreClosed


@contextmanager
def running(url: str, **settings: Any) -> Iterator[SqliteRunner]:
    runner = SqliteRunner(parse_database_url(url), DatabaseSettings(**settings))
    try:
        yield runner
    finally:
        runner.close(30)


@pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
def test_every_connection_is_configured(tmp_path: Path, synchronous: Any) -> None:
    with running(str(tmp_path / "c.sqlite"), synchronous=synchronous) as runner:
        names = ("journal_mode", "synchronous", "auto_vacuum")
        for run in (runner.write, runner.read):
            found = run(lambda db: [db.execute(f"PRAGMA {name}").scalar_one() for name in names]).result()
            assert found == ["wal", 2 if synchronous == "FULL" else 1, 2]


def test_a_reader_works_while_a_writer_is_in_its_transaction(tmp_path: Path) -> None:
    began, go_on = threading.Event(), threading.Event()

    def write(db: Db) -> None:
        with db.transaction():
            db.execute("INSERT INTO it VALUES (1)")
            began.set()
            assert go_on.wait(30)

    with running(str(tmp_path / "c.sqlite")) as runner:
        runner.write(lambda db: db.execute("CREATE TABLE it (number)")).result()
        writing = runner.write(write)
        assert began.wait(30)
        assert runner.read(lambda db: db.execute("SELECT * FROM it").all()).result() == []
        go_on.set()
        writing.result()
        assert runner.read(lambda db: db.execute("SELECT * FROM it").all()).result() == [(1,)]


@pytest.mark.parametrize("url", [":memory:", "c.sqlite"])
def test_failed_work_leaves_the_runner_usable_and_a_closed_one_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.chdir(tmp_path)

    def fail(_db: Db) -> None:
        raise KeyError

    with running(url) as runner:
        for run in (runner.write, runner.read):
            with pytest.raises(KeyError):
                run(fail).result()
            assert run(lambda db: db.execute("SELECT 1").scalar_one()).result() == 1
    with pytest.raises(StoreClosed):
        runner.read(fail).result()
