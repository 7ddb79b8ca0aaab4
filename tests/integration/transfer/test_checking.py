"""What was stored is read back: a row that the target altered, or lost, is noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ckptstore.db.connection import Db
from ckptstore.transfer.writing import StoreParcel
from tests.support.transfers import fill, pair


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DELETE FROM ckpt_write WHERE task_id = 'task-1'", "rows of threads 't0' are missing"),
        ("UPDATE ckpt_channel SET type = 'x' WHERE channel = 'messages'", "checksum does not match"),
    ],
)
@pytest.mark.parametrize("target", ["sqlite", "asyncpg"])
def test_damage_at_the_target_is_noticed(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, statement: str, says: str
) -> None:
    store = StoreParcel.__call__

    def damage(self: StoreParcel, db: Db) -> None:
        store(self, db)
        db.execute(statement)

    monkeypatch.setattr(StoreParcel, "__call__", damage)
    with pair(request, tmp_path, "sqlite" if target == "asyncpg" else "asyncpg", target) as (one, other):
        fill(one, threads=1)
        assert says in one.copy_to(other).failed_threads["t0"]
        assert one.copy_to(other, threads=["t0"], verify="none").failed_threads == {}


def test_a_thread_that_its_target_wrote_to_at_once_is_not_compared(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = StoreParcel.__call__

    def write(self: StoreParcel, db: Db) -> Any:
        store(self, db)
        db.execute("UPDATE ckpt_thread SET checkpoint_count = 99")

    monkeypatch.setattr(StoreParcel, "__call__", write)
    with pair(request, tmp_path, "sqlite", "asyncpg") as (one, other):
        fill(one, threads=1)
        report = one.copy_to(other)
        assert (report.ok, report.verified_rows) == (True, 0)
