"""Statements on tags as rows."""

from __future__ import annotations

import re

import pytest

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import TAG_ROW
from ckptstore.records import CheckpointKey
from ckptstore.writes.tag_rows import insert_tags
from tests.support.statements import compiled

ROWS = [("step", "n1", "c", "t", ""), ("user", "sann", "c", "t", ""), ("user", "sann", "c", "u", "")]


@pytest.mark.parametrize("build", [sql.tags.delete_tags, sql.tags.tags_among, sql.tags.insert_tags], ids=lambda build: build.__name__)
def test_tags_are_found_by_their_texts(kind: str, build: object) -> None:
    found = compiled(kind, build(kind))  # type: ignore[operator]
    assert found.tables == {"ckpt_tag", "ckpt_tag_value", "ckpt_tag_owner"}
    assert found.parameters == ({"keys"} if kind == "sqlite" else {f"keys_{name}" for name in TAG_ROW})


def test_values_are_numbered_in_an_order(kind: str) -> None:
    text = compiled(kind, sql.tags.number_values(kind)).text
    assert re.search(r"ORDER BY (\w+)\.key, \1\.value ON CONFLICT", text)


def test_given_tags_are_found_and_deleted_and_no_others(db: Db) -> None:
    insert_tags(db, ROWS)
    given = db.key_parameters(TAG_ROW, [ROWS[0], ROWS[2], ("user", "sann", "d", "t", ""), ("no", "n1", "c", "t", "")])
    assert sorted(map(tuple, db.run(sql.tags.tags_among, given))) == [ROWS[0], ROWS[2]]
    db.run(sql.tags.delete_tags, given)
    assert [tuple(row) for row in db.run(sql.tags.tags_among, db.key_parameters(TAG_ROW, ROWS))] == [ROWS[1]]


def test_a_whole_threads_tags_are_deleted(db: Db) -> None:
    insert_tags(db, ROWS)
    db.run(sql.tags.delete_tags_of_thread, {"thread_id": "t"})
    assert [tuple(row) for row in db.run(sql.tags.tags_among, db.key_parameters(TAG_ROW, ROWS))] == [ROWS[2]]


def test_owners_stay_as_long_as_their_namespace_has_a_checkpoint(db: Db) -> None:
    insert_tags(db, [("k", "s", "c", "t", ""), ("k", "s", "d", "t", "child"), ("k", "s", "c", "u", "")])
    key = CheckpointKey("t", "child", "d")
    db.insert(sql.tables.CHECKPOINT, "keep", [(*key, None, 1, 4, "x", b"", "{}", "{}", 0, False, 0, None)])
    db.run(sql.tags.delete_unused_owners, {"thread_id": "t"})
    left = db.execute("SELECT thread_id, checkpoint_ns FROM ckpt_tag_owner ORDER BY 1").all()
    assert [tuple(row) for row in left] == [("t", "child"), ("u", "")]
