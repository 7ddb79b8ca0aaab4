"""The runner of SQLite: one writer, readers beside it, and connections that are durable."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
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


def test_callers_read_and_write_on_their_own_threads_once_connections_are_open(tmp_path: Path) -> None:
    here = threading.get_ident()

    def where(_db: Db) -> int:
        return threading.get_ident()

    with running(str(tmp_path / "c.sqlite")) as runner:
        assert (runner.try_read(where), runner.try_write(lambda _db: True)) == (None, False)
        assert runner.write(where).result() != here
        assert runner.read(where).result() != here
        assert runner.try_read(where) == (here,)
        assert runner.try_write(lambda _db: threading.get_ident() == here)


def test_a_caller_does_not_wait_long_for_a_lock_and_leaves_errors_to_the_worker_thread(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"

    def insert(db: Db) -> bool:
        return bool(db.execute("INSERT INTO it VALUES (1)").rowcount)

    with running(str(path), busy_timeout_seconds=0.01) as runner, closing(sqlite3.connect(path, isolation_level=None)) as other:
        assert not runner.try_write(insert)
        runner.write(lambda db: db.execute("CREATE TABLE it (number)")).result()
        other.execute("BEGIN IMMEDIATE")
        assert not runner.try_write(insert)
        other.execute("COMMIT")
        assert runner.try_write(insert)
        assert runner.read(lambda db: db.execute("SELECT count(*) FROM it").scalar_one()).result() == 1


def test_a_database_in_memory_has_one_connection_which_no_caller_uses() -> None:
    with running(":memory:") as runner:
        runner.write(lambda db: db.execute("SELECT 1")).result()
        assert (runner.try_read(lambda _db: 1), runner.try_write(lambda _db: True)) == (None, False)
