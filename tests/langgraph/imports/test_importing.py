"""An import that ends midway goes on, and closes its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from ckptstore import SQLAlchemySaver
from ckptstore.db.connection import Db
from ckptstore.errors import DatabaseUnavailable, InvalidConfig
from ckptstore.langgraph.imports.official_sqlite import OfficialSqlite
from ckptstore.transfer.writing import StoreParcel
from tests.langgraph.imports.test_official_sqlite import contents, fill
from tests.support.transfers import threads_of


def test_a_run_that_ended_midway_goes_on(tmp_path: Path, lasting_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckptstore.transfer.parcel._THREADS_PER_PARCEL", 1)
    calls: list[int] = []
    closed: list[str] = []
    store, close = StoreParcel.__call__, OfficialSqlite.close

    def fail(self: StoreParcel, db: Db) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise DatabaseUnavailable("the connection was lost", transient=False)
        store(self, db)

    def note(self: OfficialSqlite) -> None:
        closed.append(self.origin)
        close(self)

    monkeypatch.setattr(StoreParcel, "__call__", fail)
    monkeypatch.setattr(OfficialSqlite, "close", note)
    file = tmp_path / "official.sqlite"
    with SqliteSaver.from_conn_string(str(file)) as saver, SQLAlchemySaver.from_conn_string(lasting_url) as ours:
        fill(saver)
        with pytest.raises(DatabaseUnavailable):
            ours.import_from(file)
        assert threads_of(ours) == ["t0"]
        report = ours.import_from(file)
        assert (report.threads, report.unchanged_threads) == (2, 1)
        assert contents(ours) == contents(saver)
        assert len(closed) == 2


def test_a_part_can_not_be_mirrored(tmp_path: Path) -> None:
    with SQLAlchemySaver.from_conn_string(":memory:") as ours, pytest.raises(InvalidConfig, match="mirror"):
        ours.import_from(tmp_path / "x.sqlite", mirror=True, newest=1)


async def test_a_cancelled_run_closes_its_source(tmp_path: Path, lasting_url: str) -> None:
    import asyncio

    file = tmp_path / "official.sqlite"
    with SqliteSaver.from_conn_string(str(file)) as saver:
        fill(saver)
    async with SQLAlchemySaver.from_conn_string(lasting_url) as ours:
        task: Any = asyncio.ensure_future(ours.aimport_from(file))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await ours.aimport_from(file)).ok
