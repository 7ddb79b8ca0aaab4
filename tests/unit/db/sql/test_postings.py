"""Conditions on the index of tags, and what it says about tags."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql import postings
from ckptstore.db.sql.key_columns import key_in
from ckptstore.db.sql.tables import CHECKPOINT, TAG_KEY
from ckptstore.db.sql.tag_layouts import index_of
from ckptstore.writes.tag_rows import insert_tags
from tests.support.statements import compiled

ROWS = [("user", "sann", f"c{number}", "t", "") for number in range(5)] + [
    ("user/name", "sbob", "c1", "t", ""),
    ("use", "sx", "c9", "u", ""),
    ("user", "sann", "c1", "u", "child"),
]
SPAN = {"source_key": "user", "source_low": "", "source_high": "t"}
BELOW = {"source_first_below": "user/", "source_after_below": "user0"}


@pytest.fixture
def filled(db: Db) -> Db:
    insert_tags(db, ROWS)
    return db


def test_a_row_is_of_a_posting(kind: str) -> None:
    tags = index_of(kind).tags
    assert compiled(kind, select(tags).where(postings.is_posting(kind, tags, "a_key", "a_value"))).parameters == {"a_key", "a_value"}


def test_what_a_condition_leads_to_is_counted_up_to_a_bound(kind: str) -> None:
    counts = [postings.count_of_postings(kind, source) for source in ("list", "span", "span and below")]
    for count in (*counts, postings.weights_of_postings(kind), postings.count_with_id(kind, 2)):
        found = compiled(kind, count)
        assert "bound" in found.parameters
        assert "LIMIT" in found.text


@pytest.mark.parametrize(
    ("source", "parameters", "expected"),
    [
        ("list", {"source_key": "user", "source_values": '["sann", "snobody"]'}, 6),
        ("span", SPAN, 6),
        ("span and below", SPAN | BELOW, 7),
        ("span", SPAN | {"source_low": "sb"}, 0),
    ],
)
def test_postings_are_counted_up_to_a_bound(filled: Db, source: str, parameters: dict[str, str], expected: int) -> None:
    for bound in (100, 3):
        found = filled.run(sql.postings.count_of_postings, {**parameters, "bound": bound}, source).scalar_one()
        assert found == min(expected, bound)


def test_a_weight_says_how_many_and_how_far_back(filled: Db) -> None:
    given = filled.key_parameters(("key", "value"), [("user", "sann"), ("user", "snobody"), ("use", "sx")])
    rows = filled.run(sql.postings.weights_of_postings, {**given, "bound": 4, "below": "c4", "skipped": 1})
    assert [tuple(row) for row in rows] == [("user", "sann", 4, "c2"), ("user", "snobody", 0, None), ("use", "sx", 1, None)]


def test_checkpoints_are_found_by_a_posting(filled: Db) -> None:
    given = filled.key_parameters(("key", "value"), [("use", "sx"), ("user/name", "sbob"), ("user", "sx")])
    assert sorted(map(tuple, filled.run(sql.postings.checkpoints_with_postings, given))) == [("t", "", "c1"), ("u", "", "c9")]


def test_checkpoints_with_one_id_are_counted(filled: Db) -> None:
    of = {"source_key": "user", "source_value_0": "snobody", "source_value_1": "sann", "bound": 9}
    counts = [filled.run(sql.postings.count_with_id, {**of, "checkpoint_id": each}, 2).scalar_one() for each in ("c0", "c1", "c9")]
    assert counts == [1, 2, 0]


def test_a_probe_is_for_one_checkpoint(kind: str) -> None:
    text = compiled(kind, postings.has_posting(kind, key_in(CHECKPOINT), "has_0")).text
    columns = {"sqlite": {*TAG_KEY, "thread_no"} - {"thread_id"}, "postgresql": {"value_no", "half", "thread_no"}}
    assert all(f"has_0.{name} = " in text for name in columns[kind])
    if kind == "postgresql":
        assert {"has_0.checkpoint_uuid", "has_0.checkpoint_ns"} <= {*text.replace(",", " ").replace("(", " ").split()}
    # The checkpoint is that of the statement around it.
    assert "FROM ckpt_checkpoint" not in text
