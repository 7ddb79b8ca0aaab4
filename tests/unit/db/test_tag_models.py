"""The tables of the tag index, and the model of their rows together."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session
from sqlalchemy.schema import CreateTable

from ckptstore.db.connection import Db
from ckptstore.db.tag_models import TAG, Tag, whole_tags
from ckptstore.writes.tag_rows import insert_tags

ROWS = [("step", "n1", "c", "t", ""), ("user", "sann", "c", "t", ""), ("user", "sann", "d", "t", "child")]


def test_tags_have_their_texts(db: Db) -> None:
    insert_tags(db, ROWS)
    assert sorted((*row,) for row in db.connection.execute(whole_tags()).all()) == ROWS
    with Session(db.connection) as session:
        found = session.scalars(select(Tag).where(Tag.key == "user").order_by(Tag.checkpoint_id)).all()
        assert [(tag.value, tag.checkpoint_id, tag.thread_id, tag.checkpoint_ns) for tag in found] == [
            ("sann", "c", "t", ""), ("sann", "d", "t", "child"),
        ]  # fmt: skip


def test_a_value_and_an_owner_are_stored_once(db: Db) -> None:
    insert_tags(db, ROWS)
    insert_tags(db, ROWS)
    counts = [db.execute(f"SELECT count(*) FROM {table}").scalar_one() for table in ("ckpt_tag", "ckpt_tag_value", "ckpt_tag_owner")]
    assert counts == [3, 2, 2]


def test_postgresql_has_no_unique_index_of_tags() -> None:
    assert "PRIMARY KEY" not in str(CreateTable(TAG).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
