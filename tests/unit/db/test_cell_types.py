"""The types that a statement's results must have, and the refusal of others."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import BigInteger, Text, bindparam, cast, func, literal_column, null, select, union_all, update

from ckptstore.db.cell_types import CHECKED_BY_READER, cell_types, require_types
from ckptstore.db.sql.tables import CHANNEL, CHECKPOINT, THREAD
from ckptstore.errors import CheckpointCorrupt, DatabaseCorrupt

NULL = type(None)
C = CHECKPOINT.c


def allowed(statement: Any) -> list[tuple[str, set[type]]]:
    return [(each.name, set(each.allowed)) for each in cell_types(statement)]


def test_columns_have_their_types_and_are_null_only_where_the_table_allows_it() -> None:
    found = allowed(select(C.thread_id, C.parent_checkpoint_id, C.hidden, C.body, C.created_at, C.checksum))
    assert found == [
        ("ckpt_checkpoint.thread_id", {str}),
        ("ckpt_checkpoint.parent_checkpoint_id", {str, NULL}),
        ("ckpt_checkpoint.hidden", {int}),
        ("ckpt_checkpoint.body", {bytes}),
        ("ckpt_checkpoint.created_at", {int}),
        ("ckpt_checkpoint.checksum", {int, NULL}),
    ]


def test_a_column_keeps_its_name_under_a_cast_and_a_label() -> None:
    assert allowed(select(cast(C.created_at, BigInteger).label("at"))) == [("ckpt_checkpoint.created_at", {int})]


def test_what_is_computed_or_joined_from_outside_may_be_null() -> None:
    outer = select(C.size, THREAD.c.size).select_from(CHECKPOINT.outerjoin(THREAD, THREAD.c.thread_id == C.thread_id))
    assert allowed(outer) == [("ckpt_checkpoint.size", {int}), ("ckpt_thread.size", {int, NULL})]
    assert allowed(select(func.count(), func.max(C.size))) == [("a computed column", {int, NULL})] * 2
    assert allowed(select(select(THREAD.c.size).scalar_subquery())) == [("a computed column", {int, NULL})]


def test_what_a_change_returns_is_never_null_where_the_table_forbids_it() -> None:
    assert allowed(update(CHECKPOINT).returning(C.body, C.checksum)) == [
        ("ckpt_checkpoint.body", {bytes}),
        ("ckpt_checkpoint.checksum", {int, NULL}),
    ]


def test_json_and_what_has_no_known_type_is_left_to_the_reader() -> None:
    assert allowed(select(CHANNEL.c.layout, literal_column("1"))) == []


def test_no_types_are_known_of_a_union_nor_where_the_reader_checks_rows() -> None:
    part = select(cast(null(), Text))
    assert cell_types(union_all(part, part)) == ()
    assert cell_types(select(C.thread_id).execution_options(**CHECKED_BY_READER)) == ()
    assert cell_types(select(C.thread_id)) != ()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ((b"t", 1), "ckpt_thread.thread_id is bytes where a text belongs"),
        (("t", "1"), "ckpt_thread.size is a text where an integer belongs"),
        (("t", 1.5), "ckpt_thread.size is a floating-point number where an integer belongs"),
        (("t", None), "ckpt_thread.size is nothing where an integer belongs"),
    ],
)
def test_another_type_is_named_with_its_thread(row: tuple[Any, ...], says: str) -> None:
    expected = cell_types(select(THREAD.c.thread_id, THREAD.c.size).where(THREAD.c.thread_id == bindparam("thread_id")))
    require_types(expected, [("t", 1), ("u", 2)], {})
    require_types(expected, [], {})
    with pytest.raises(CheckpointCorrupt, match=f"thread 't': {says}"):
        require_types(expected, [("s", 1), row], {"thread_id": "t"})
    with pytest.raises(DatabaseCorrupt, match=f"^{says}"):
        require_types(expected, [row], {})
