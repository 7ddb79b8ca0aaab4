"""Databases that are opened only to be looked at."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db import schema
from ckptstore.db.connection import Db
from ckptstore.db.open_read_only import open_read_only
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.url import parse_database_url
from ckptstore.errors import CkptStoreError, DatabaseUnavailable, SchemaOutOfDate, StatementRefused
from ckptstore.runtime.steps import drive
from tests.support.build import chain
from tests.support.inspector import reading_store

ONCE = DatabaseSettings(retry_seconds=0)


@pytest.fixture
async def filled(lasting_url: str) -> str:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await chain(saver, "t", 3)
    return lasting_url


def test_the_database_itself_refuses_writes(filled: str) -> None:
    runner = open_read_only(parse_database_url(filled), ONCE)
    try:
        for statement in ("DELETE FROM ckpt_tag", "UPDATE ckpt_thread SET size = 0", "CREATE TABLE mine (x int)", "DROP TABLE ckpt_write"):
            with pytest.raises(CkptStoreError, match=r"read-?only"):
                runner.read(partial(Db.execute, text=statement)).result()
        assert runner.read(lambda db: db.execute("SELECT count(*) FROM ckpt_checkpoint").scalar_one()).result() == 3
    finally:
        runner.close()


def test_no_transaction_that_writes_is_opened(filled: str) -> None:
    with reading_store(filled) as store:
        for steps in (store.delete_thread("t"), store.copy_thread("t", "u"), store.rebuild_tags()):
            with pytest.raises(CkptStoreError, match=r"read.?only"):
                drive(steps)
        with pytest.raises(StatementRefused):
            store.runner.write_here(lambda _: None, lambda: 1.0)
        with pytest.raises(StatementRefused):
            store.runner.call_later(1.0, lambda: None)
        assert store.runner.try_read(lambda _: None) is None
        assert not store.runner.try_write(lambda _: True)
        assert store.runner.pool_use() is not None


def test_all_reads_of_a_work_are_of_one_state(filled: str) -> None:
    counts: list[int] = []
    with reading_store(filled) as store, SQLAlchemySaver.from_conn_string(filled) as saver:

        def look(db: Db) -> None:
            for _ in range(2):
                with db.snapshot():
                    counts.append(db.execute("SELECT count(*) FROM ckpt_thread").scalar_one())
                saver.delete_thread("t")

        store.runner.read(look).result()
        assert store.runner.read(lambda db: db.execute("SELECT count(*) FROM ckpt_thread").scalar_one()).result() == 0
    assert counts == [1, 1]


def test_a_session_is_not_left_read_only(filled: str) -> None:
    # The next transaction of a pooler's session may be somebody else's.
    if not filled.startswith("postgresql"):
        pytest.skip("only a server has sessions")
    runner = open_read_only(parse_database_url(filled), ONCE)
    try:
        inner = runner._runner  # type: ignore[attr-defined]
        runner.read(lambda db: db.execute("SELECT 1")).result()
        assert inner.read(lambda db: db.execute("SHOW default_transaction_read_only").scalar_one()).result() == "off"
    finally:
        runner.close()


def test_a_callback_is_called(filled: str) -> None:
    with reading_store(filled) as store:
        seen: list[int] = []
        store.runner.write(lambda _: 5, lambda future: seen.append(future.result())).result()
        assert seen == [5]


def test_a_schema_that_does_not_fit_is_named(bare_url: str) -> None:
    Path(bare_url).touch() if not bare_url.startswith("postgresql") else None
    with pytest.raises(SchemaOutOfDate, match="ckptstore upgrade"):
        open_read_only(parse_database_url(bare_url), ONCE)


def test_a_file_that_does_not_exist_is_not_created(tmp_path: Path) -> None:
    path = tmp_path / "none.sqlite"
    with pytest.raises(DatabaseUnavailable):
        open_read_only(parse_database_url(str(path)), ONCE)
    assert not path.exists()


def test_a_file_is_left_as_it_is(filled: str) -> None:
    if filled.startswith("postgresql"):
        pytest.skip("a server has no file of its own")
    before = Path(filled).read_bytes()
    os.chmod(filled, 0o400)
    with reading_store(filled) as store:
        assert drive(store.read(schema.current_revision)) == schema.HEAD
    assert Path(filled).read_bytes() == before


def test_names_with_letters_that_a_uri_reads_are_names(tmp_path: Path, sqlite_url: str) -> None:
    path = tmp_path / "a?mode=rw #%41.sqlite"
    Path(sqlite_url).rename(path)
    runner = open_read_only(parse_database_url(str(path)), ONCE)
    try:
        with pytest.raises(CkptStoreError, match=r"read-?only"):
            runner.read(lambda db: db.execute("DELETE FROM ckpt_tag")).result()
    finally:
        runner.close()
