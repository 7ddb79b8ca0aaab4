"""Tags as a view of rows with numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db import schema
from ckptstore.db.connection import Db
from ckptstore.db.open import open_database
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.url import parse_database_url
from ckptstore.writes.tag_rows import delete_tags
from tests.support.build import chain
from tests.support.databases import empty_tables

TAGS = [
    ("step", "n1", "c1", "t", ""),
    ("step", "n1", "c1", "u", ""),
    ("user", "sann", "c1", "t", "child"),
    # Its thread has no row.
    ("user", "sann", "c2", "gone", ""),
]


def tags(db: Db) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in db.execute("SELECT key, value, checkpoint_id, thread_id, checkpoint_ns FROM ckpt_tag"))


def fill(db: Db) -> None:
    for thread_id in ("t", "u", "without tags"):
        db.execute(f"INSERT INTO ckpt_thread (thread_id, created_at, updated_at, generation) VALUES ('{thread_id}', 1, 1, 0)")
    for cells in TAGS:
        db.execute(f"INSERT INTO ckpt_tag (key, value, checkpoint_id, thread_id, checkpoint_ns) VALUES {cells}")


def test_an_upgrade_and_a_downgrade_keep_every_tag(bare_url: str) -> None:
    database = open_database(parse_database_url(bare_url), DatabaseSettings())
    try:
        database.write(lambda db: schema.upgrade(db, "0010")).result()
        database.write(fill).result()
        for change in (schema.upgrade, lambda db: schema.downgrade(db, "0010"), schema.upgrade):
            database.write(change).result()
            assert database.read(tags).result() == sorted(TAGS)
    finally:
        database.close()


def count(saver: SQLAlchemySaver, *tables: str) -> Sequence[int]:
    return saver.store.runner.read(lambda db: [db.execute(f"SELECT count(*) FROM {table}").scalar_one() for table in tables]).result()


async def test_a_threads_number_goes_with_its_row(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await chain(saver, "t", 3)
        await chain(saver, "u", 1)
        assert count(saver, "ckpt_tag_thread") == [2]
        await saver.adelete_thread("t")
        numbers = saver.store.runner.read(lambda db: [*db.execute("SELECT thread_id FROM ckpt_tag_thread")]).result()
        assert [thread_id for (thread_id,) in numbers] == ["u"]
        await saver.adelete_thread("u")
        assert count(saver, "ckpt_tag", "ckpt_tag_posting", "ckpt_tag_thread") == [0, 0, 0]


async def test_rows_of_the_view_are_inserted_once_and_deleted(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await saver.setup()
        saver.store.runner.write(fill).result()
        saver.store.runner.write(lambda db: db.execute(f"INSERT INTO ckpt_tag VALUES {TAGS[0]}")).result()
        assert saver.store.runner.read(tags).result() == sorted(TAGS)
        saver.store.runner.write(lambda db: db.execute("DELETE FROM ckpt_tag WHERE thread_id = 't'")).result()
        assert saver.store.runner.read(tags).result() == sorted(each for each in TAGS if each[3] != "t")


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_what_an_earlier_release_sends_deletes_the_same_rows(postgres_url: str, driver: str) -> None:
    empty_tables(postgres_url)
    with SQLAlchemySaver.from_conn_string(postgres_url.replace("postgresql:", f"postgresql+{driver}:")) as saver:
        saver.setup()
        saver.store.runner.write(fill).result()
        # Its statements are those for texts.
        of_texts = saver.store.runner.statements.for_database(sharded=False, numbers_tags=False)

        def work(db: Db) -> None:
            db.statements = of_texts
            delete_tags(db, TAGS[:2])

        saver.store.runner.write(work).result()
        assert saver.store.runner.read(tags).result() == sorted(TAGS[2:])


def test_without_the_right_to_create_functions_tags_stay_texts(texts_url: str) -> None:
    empty_tables(texts_url)
    with SQLAlchemySaver.from_conn_string(texts_url) as saver:
        asyncio.run(chain(saver, "t", 3, user="ann"))
        assert not saver.store.runner.read(lambda db: db.statements.numbers_tags).result()
        assert [found.metadata["step"] for found in saver.list(None, filter={"user": "ann", "step": 1})] == [1]
        saver.delete_thread("t")
        assert saver.store.runner.read(tags).result() == []
