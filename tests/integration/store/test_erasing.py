"""Erasing a user: threads, and the blobs that only they used, at once; what others use stays."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ckptstore import SQLAlchemySaver, TagKeys
from ckptstore.cli import main
from ckptstore.db import sql
from ckptstore.errors import InvalidConfig, InvalidFilter, KeyNotIndexed
from ckptstore.maintenance import delete
from ckptstore.maintenance.reports import NOT_REACHED
from tests.support.build import checkpoint, config, metadata
from tests.support.rows import Rows
from tests.support.transfers import contents, threads_of

OWN, SHARED = random.Random(1).randbytes(70_000), random.Random(2).randbytes(70_000)


@pytest.fixture
def saver(lasting_url: str, tmp_path: Path) -> Any:
    with SQLAlchemySaver.from_conn_string(lasting_url, blob_url=tmp_path / "blobs") as saver:
        for thread_id, user, file in (("a1", "ann", OWN), ("a2", "ann", OWN), ("a3", "ann", SHARED), ("b", "ben", SHARED)):
            handle = saver.blobs.put(b"a file of " + user.encode() * 10_000).result()
            made = checkpoint({"file": file, "handle": handle}, {"file": "1", "handle": "1"})
            where = saver.put(config(thread_id), made, metadata(0, user_id=user), made["channel_versions"])
            saver.put_writes(where, [("n", 1)], "task")
        yield saver


def files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def test_nothing_of_a_user_is_left(saver: SQLAlchemySaver, tmp_path: Path) -> None:
    before = contents(saver, "b")
    assert files(tmp_path / "blobs") == 4
    found = saver.erase({"user_id": "ann"}, dry_run=True)
    assert (sorted(found.threads), found.checkpoints, found.objects) == (["a1", "a2", "a3"], 3, 0)
    report = saver.erase({"user_id": "ann"})
    assert sorted(report.threads) == ["a1", "a2", "a3"]
    assert (report.checkpoints, report.writes, report.objects, report.shared_objects, report.objects_left) == (3, 3, 2, 1, 0)
    assert report.object_bytes > 70_000
    assert report.started_at <= report.ended_at
    assert threads_of(saver) == ["b"]
    assert files(tmp_path / "blobs") == 2
    assert contents(saver, "b") == before
    assert len(Rows.of(saver).tables["ckpt_object"]) == 2
    assert saver.verify(deep=True).ok
    assert saver.erase({"user_id": "ann"}).threads == []


@pytest.mark.parametrize("statement", ["start_deleting", "drop_objects"])
def test_what_an_erasure_that_died_has_left_is_deleted_by_the_next(
    saver: SQLAlchemySaver, tmp_path: Path, statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_database: str) -> None:
        raise RuntimeError("died")

    with monkeypatch.context() as patch:
        patch.setattr(sql.objects, statement, die)
        with pytest.raises(RuntimeError, match="died"):
            saver.erase({"user_id": "ann"})
    assert "a1" not in threads_of(saver)
    report = saver.erase({"user_id": "ann"})
    assert threads_of(saver) == ["b"]
    assert (report.shared_objects, report.objects_left) == (1, 0)
    assert files(tmp_path / "blobs") == 2
    assert not [row for row in Rows.of(saver).tables["ckpt_setting"] if row["name"].startswith("erasing")]
    assert saver.verify(deep=True).ok


def test_a_deletion_that_died_is_finished(saver: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delete, "_CHECKPOINTS_AT_ONCE", 0)
    begun = saver.store.runner.write(partial(delete.delete_thread, thread_id="a1")).result()
    assert isinstance(begun, delete.LargeThread)
    saver.erase({"user_id": "ann"})
    assert threads_of(saver) == ["b"]
    assert {row["thread_id"] for row in Rows.of(saver).tables["ckpt_write"]} == {"b"}


def test_with_grace_blobs_are_left_to_the_collector(saver: SQLAlchemySaver, tmp_path: Path) -> None:
    report = saver.erase({"user_id": "ann"}, grace=timedelta(days=1))
    assert (report.objects, report.objects_left, report.shared_objects) == (0, 2, 1)
    assert files(tmp_path / "blobs") == 4


def test_a_writer_that_uses_an_erased_blob_again_uploads_it(saver: SQLAlchemySaver, tmp_path: Path) -> None:
    saver.erase({"user_id": "ann"})
    made = checkpoint({"file": OWN}, {"file": "1"})
    saver.put(config("again"), made, metadata(0), {"file": "1"})
    assert contents(saver, "again")
    assert saver.verify(deep=True).ok


@pytest.mark.parametrize(
    ("wanted", "options", "exc"),
    [
        ({}, {}, InvalidConfig),
        (None, {}, InvalidConfig),
        ({"a": {"$no": 1}}, {}, InvalidFilter),
        ({"a": 1}, {"grace": timedelta(-1)}, InvalidConfig),
        ({"a": 1}, {"grace": 5}, InvalidConfig),
    ],
)
def test_what_has_no_meaning_erases_nothing(saver: SQLAlchemySaver, wanted: Any, options: Any, exc: type[Exception]) -> None:
    with pytest.raises(exc):
        saver.erase(wanted, **options)
    assert len(threads_of(saver)) == 4


def test_the_command_line(saver: SQLAlchemySaver, lasting_url: str, tmp_path: Path) -> None:
    command = ["threads", "erase", "--url", lasting_url, "--blob-url", str(tmp_path / "blobs"), "--filter", '{"user_id": "ann"}']
    would = CliRunner().invoke(main, [*command, "--dry-run"])
    assert "3 threads with 3 checkpoints would be erased: a1, a2, a3" in would.output
    done = CliRunner().invoke(main, [*command, "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.output)
    assert (report["checkpoints"], report["objects"], tuple(report["not_reached"])) == (3, 2, NOT_REACHED)
    again = CliRunner().invoke(main, command)
    assert again.output.startswith("0 threads")
    assert "not reached: backups" in again.output


def test_a_key_that_is_not_indexed_is_refused(tmp_path: Path) -> None:
    with SQLAlchemySaver.from_conn_string(tmp_path / "a.sqlite", tag_keys=TagKeys(include=("kind",))) as saver:
        saver.put(config("t"), checkpoint({}), metadata(0, user_id="ann"), {})
        with pytest.raises(KeyNotIndexed):
            saver.erase({"user_id": "ann"})
    for command in (["threads", "erase", "--url"], ["copy", "--to", str(tmp_path / "b.sqlite"), "--from"]):
        done = CliRunner().invoke(main, [*command, str(tmp_path / "a.sqlite"), "--filter", '{"user_id": "ann"}'])
        assert done.exit_code == 1
        assert "user_id" in done.output
