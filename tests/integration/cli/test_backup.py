"""`ckptstore backup` and `restore`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from tests.support.databases import empty_tables
from tests.support.pg_programs import FITTING, OLDER
from tests.support.transfers import fill


@pytest.fixture
def command(lasting_url: str, tmp_path: Path) -> list[str]:
    with SQLAlchemySaver.from_conn_string(lasting_url, blob_url=tmp_path / "blobs") as saver:
        fill(saver)
    return ["backup", "--url", lasting_url, "--blob-url", str(tmp_path / "blobs"), str(tmp_path / "backups")]


def test_a_backup_says_what_it_has(command: list[str]) -> None:
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert "3 threads with 15 checkpoints" in done.output
    assert json.loads(CliRunner().invoke(main, [*command, "--json"]).stdout)["copied"] == 0


def test_postgres_is_dumped_where_that_is_possible(postgres_url: str, tmp_path: Path) -> None:
    empty_tables(postgres_url)
    with SQLAlchemySaver.from_conn_string(postgres_url) as saver:
        saver.setup()
        fill(saver, blobs=False)
    command = ["backup", "--url", postgres_url, str(tmp_path / "backups")]
    dumped = CliRunner().invoke(main, command, env={"CKPTSTORE_PG_BIN": FITTING})
    assert dumped.exit_code == 0, dumped.output
    assert "(pg_dump): " in dumped.output
    copied = CliRunner().invoke(main, command, env={"PATH": OLDER})
    assert copied.exit_code == 0
    assert "the copy of the database is a SQLite file: pg_dump is of release 16" in copied.stderr
    refused = CliRunner().invoke(main, [*command, "--format", "pg_dump"], env={"PATH": OLDER})
    assert refused.exit_code == 1
    assert "install postgresql-client-18" in refused.stderr


def test_a_missing_blob_is_said_and_the_status_is_1(command: list[str], tmp_path: Path) -> None:
    (path, *_) = [each for each in (tmp_path / "blobs").rglob("*") if each.is_file()]
    path.unlink()
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 1
    assert "missing or damaged, not in the backup" in done.output


def test_no_backup_there(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["restore", str(tmp_path / "nothing"), "--to", str(tmp_path / "r.sqlite")])
    assert done.exit_code == 1
    assert "no backup" in done.output
