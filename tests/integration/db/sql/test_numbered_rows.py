"""Given tags are inserted once, found and deleted, whatever their ids and namespaces are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import TAG_KEY
from ckptstore.writes.tag_rows import delete_tags, insert_tags
from tests.support.databases import url_of
from tests.support.rows import tag_rows

ID = "1ef0a2b4-7c3d-6e12-8000-00000000000"
TAGS = [
    ("user", "sann", f"{ID}1", "t", ""),
    # The same half, in another namespace, in another thread, and with another rest.
    ("user", "sann", f"{ID}1", "t", "child"),
    ("user", "sann", f"{ID}1", "u", ""),
    ("user", "sann", f"{ID}2", "t", ""),
    # No UUIDs: two have the same half as one that is.
    ("user", "sann", f"{ID}", "t", ""),
    ("user", "sann", f"{ID}1".upper(), "t", ""),
    ("user", "sann", "c1", "t", ""),
    ("user", "sann", "c10", "t", ""),
    ("user", "sbob", "c1", "t", ""),
    ("user/name", "sann", "c1", "t", ""),
]


@pytest.fixture(params=["asyncpg", "psycopg", "asyncpg texts"])
def saver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SQLAlchemySaver]:
    with SQLAlchemySaver.from_conn_string(url_of(request.param, request, tmp_path)) as saver:
        saver.setup()
        yield saver


def among(db: Db, rows: list[tuple[str, ...]]) -> set[tuple[str, ...]]:
    return {tuple(row) for row in db.run(sql.verify.tags_among, db.key_parameters(TAG_KEY, rows))}


def test_tags_are_inserted_once_found_and_deleted(saver: SQLAlchemySaver) -> None:
    write = saver.store.runner.write
    for rows in (TAGS[:3], TAGS, TAGS + TAGS):
        write(lambda db, rows=rows: insert_tags(db, rows) if len(rows) <= len(TAGS) else insert_tags(db, TAGS)).result()  # type: ignore[misc]
    assert tag_rows(saver) == {*TAGS}
    for tag in TAGS:
        assert saver.store.runner.read(lambda db, tag=tag: among(db, [tag, (*tag[:4], "other")])).result() == {tag}  # type: ignore[misc]
        write(lambda db, tag=tag: delete_tags(db, [tag, ("user", "snobody", *tag[2:])])).result()  # type: ignore[misc]
        assert tag not in tag_rows(saver)
        write(lambda db, tag=tag: insert_tags(db, [tag])).result()  # type: ignore[misc]
    assert tag_rows(saver) == {*TAGS}


def test_all_tags_of_a_thread_are_deleted(saver: SQLAlchemySaver) -> None:
    saver.store.runner.write(lambda db: insert_tags(db, TAGS)).result()
    saver.store.runner.write(lambda db: db.run(sql.delete.delete_thread_rows, {"thread_id": "t"}, sql.tables.TAG)).result()
    assert tag_rows(saver) == {tag for tag in TAGS if tag[3] == "u"}
