"""SQLite's write-ahead log: kept short beside the writers, and never their trouble."""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db import wal_checkpointer as wal
from ckptstore.db.connection import Db
from tests.support.build import chain, config, put

MOVE = "PRAGMA wal_checkpoint(PASSIVE)"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(wal, "_INTERVAL_SECONDS", 0)
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
