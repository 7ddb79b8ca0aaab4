"""The write test beside a live store: what it returns, and that nothing is left of it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.cli.doctor_measure import measure
from ckptstore.db.url import parse_database_url
from ckptstore.errors import InvalidConfig
from tests.support.rows import rows


def schemas(saver: SQLAlchemySaver) -> list[str]:
    found = saver.store.runner.read(lambda db: db.execute("SELECT nspname FROM pg_namespace WHERE left(nspname, 4) = 'ckpt'")).result()
    return [name for (name,) in found]


@pytest.mark.starts_processes
def test_nothing_is_left_of_it_and_nothing_of_a_killed_one(lasting_url: str) -> None:
    old = int(time.time()) - 1_000
    on_sqlite = not lasting_url.startswith("postgresql")
    with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        saver.setup().result()
        before = rows(saver)
        folder = Path(lasting_url).parent
        if on_sqlite:
            (folder / f".ckptstore-doctor-{old}_ab").mkdir()
            (folder / ".ckptstore-doctor-of-somebody").mkdir()
        else:
            saver.store.runner.write(lambda db: db.execute(f"CREATE SCHEMA ckpt_doctor_{old}_ab")).result()
        assert measure(parse_database_url(lasting_url), 0.1, threading.Event()) > 0
        assert rows(saver) == before
        if on_sqlite:
            assert [path.name for path in folder.glob(".ckptstore-doctor-*")] == [".ckptstore-doctor-of-somebody"]
        else:
            assert schemas(saver) == []


def test_one_that_is_interrupted_ends_and_leaves_nothing(sqlite_url: str) -> None:
    interrupted = threading.Event()
    interrupted.set()
    assert measure(parse_database_url(sqlite_url), 1_000, interrupted) == 0
    assert list(Path(sqlite_url).parent.glob(".ckptstore-doctor-*")) == []


def test_one_that_fails_leaves_nothing(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckptstore.cli.doctor_measure._WRITERS", "many")
    with pytest.raises(TypeError):
        measure(parse_database_url(sqlite_url), 0.1, threading.Event())
    assert list(Path(sqlite_url).parent.glob(".ckptstore-doctor-*")) == []


def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="in memory"):
        measure(parse_database_url(":memory:"), 0.1, threading.Event())


def test_the_command_compares_the_load_with_it(sqlite_url: str) -> None:
    with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        saver.setup().result()
    done = CliRunner().invoke(main, ["doctor", "--url", sqlite_url, "--measure", "--measure-seconds", "0.1", "--json"])
    assert done.exit_code == 0, done.output
    assert '"ceiling": null' not in done.stdout
