"""Tags as rows of numbers: what statements read of them, and in which order."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from ckptstore.db.sql.pages import Shape, page
from ckptstore.db.sql.tag_layouts import index_of
from tests.support.statements import compiled

INDEX = index_of("postgresql")


def test_a_posting_is_looked_up_once_and_not_joined() -> None:
    query = select(INDEX.tags.c.thread_no).where(INDEX.is_posting(INDEX.tags, bindparam("key"), bindparam("value")))
    assert "ckpt_tag_posting.value_no = (SELECT ckpt_tag_value.number" in compiled("postgresql", query).text


def test_a_place_is_compared_by_its_half_and_then_by_its_id() -> None:
    for how, of_half in (("<", "<="), ("<=", "<="), ("=", "=")):
        text = compiled("postgresql", select(INDEX.tags.c.thread_no).where(INDEX.has_id(INDEX.tags, how, bindparam("id")))).text
        assert f"ckpt_tag_posting.half {of_half} " in text
        assert f"ckpt_tag_posting.checkpoint_id) {how} " in text


def test_a_page_has_all_checkpoints_with_its_last_half() -> None:
    text = compiled("postgresql", page("postgresql", Shape("tags"))).text
    inner, _, outer = text.rpartition("WITH TIES")
    assert inner.rpartition("ORDER BY ")[2].startswith("ckpt_tag_posting.half DESC")
    assert "checkpoint_id DESC" in outer
    assert "LIMIT" in outer


def test_a_number_is_of_use_only_where_a_tag_has_it() -> None:
    (condition,) = INDEX.is_in_use()
    assert "EXISTS" in compiled("postgresql", select(INDEX.texts.c.key).where(condition)).text
