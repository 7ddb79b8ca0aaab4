"""SQLite's write-ahead log: kept short beside the writers, and never their trouble."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db import wal_checkpointer as wal
from ckptstore.db.connection import Db, Rows
from ckptstore.runtime.future import Future
from tests.support.build import chain, config, put

MOVE = "PRAGMA wal_checkpoint(PASSIVE)"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(wal, "_INTERVAL_SECONDS", 0)
    monkeypatch.setattr(wal, "_PAGES_PER_CHECKPOINT", 0)
    return tmp_path / "checkpoints.sqlite"


def under_way(saver: SQLAlchemySaver) -> Any:
    return saver.store.runner._wal._running  # type: ignore[attr-defined]


async def settle(saver: SQLAlchemySaver) -> None:
    if under_way(saver) is not None:
        under_way(saver).result(20)


def sizes(path: Path) -> tuple[int, int]:
    """Bytes of the database and of its log."""
    return path.stat().st_size, path.with_name(path.name + "-wal").stat().st_size


async def test_a_log_begins_anew_while_something_is_written(path: Path) -> None:
    async with SQLAlchemySaver.from_conn_string(path) as saver:
        for number in range(60):
            await put(saver, config(f"t{number}"), {"text": [os.urandom(30_000).hex()]})
            await settle(saver)
        moved, left = sizes(path)
    assert moved > 60 * 30_000
    assert left < 20 * 30_000


async def test_a_log_that_can_not_be_moved_is_no_trouble_of_a_write(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    execute = Db.execute
    moved: list[Any] = []

    def refuse(db: Db, text: str, values: Any = ()) -> Any:
        if text == MOVE:
            moved.append(db.connection)
            raise sqlite3.OperationalError("disk I/O error")
        return execute(db, text, values)

    with mock.patch.object(Db, "execute", refuse), caplog.at_level(logging.WARNING):
        async with SQLAlchemySaver.from_conn_string(path) as saver:
            await chain(saver, "t", 5)
            await settle(saver)
            await chain(saver, "u", 5)
    assert len(set(map(id, moved))) > 1, "both on the writer's connection and beside it"
    assert {getattr(record, "event", None) for record in caplog.records} == {"wal_checkpoint_failed"}
    async with SQLAlchemySaver.from_conn_string(path) as saver:
        assert len(await saver.alist(None)) == 10


class GivenLog:
    """A database whose log has some pages at each checkpoint."""

    def __init__(self, pages: int) -> None:
        self.pages = pages

    def execute(self, _text: str) -> Rows:
        return Rows([(0, self.pages, self.pages)], -1)


def test_a_checkpoint_is_made_when_the_log_has_about_a_thousand_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(wal, "time", SimpleNamespace(monotonic=lambda: now[0]))
    log: Any = GivenLog(500)

    def at_once(checkpoint: Callable[[Db], int]) -> Future[int]:
        future: Future[int] = Future()
        future.set_result(checkpoint(log))
        return future

    checkpointer = wal.WalCheckpointer(at_once)

    def commits_until_next(seconds_each: float) -> int:
        commits = 0
        while checkpointer._running is None:
            now[0] += seconds_each
            commits += 1
            checkpointer.wrote(log)
        checkpointer.wrote(log)
        return commits

    assert commits_until_next(1.0) == 50
    # 500 pages of 51 commits: 10 pages each.
    assert commits_until_next(1.0) == 102
    log.pages = 10_300
    assert commits_until_next(1.0) == 207
    # 10,300 pages of 208 commits: 50 pages each.
    assert commits_until_next(1.0) == 21
    # Not more often than ten times a second.
    assert commits_until_next(1 / 1024) == 103
