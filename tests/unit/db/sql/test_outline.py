"""Statements that outline a thread."""

from __future__ import annotations

import pytest

from ckptstore.db.sql import outline
from ckptstore.db.sql.pages import Shape
from tests.support.statements import compiled


def test_a_page_reads_no_body(kind: str) -> None:
    found = compiled(kind, outline.page_of_checkpoints(kind, Shape(given=frozenset({"thread_id", "before"}))))
    # What is chosen is the last list of columns: the tables that it is chosen from come before it, or after `FROM (`.
    chosen = found.text[found.text.rindex("SELECT found.checkpoint_ns") :].partition("FROM (")[0]
    assert "found.metadata" in chosen
    assert "body" not in chosen
    assert found.parameters >= {"thread_id", "before", "page_size"}


def test_writes_are_counted_by_channel_and_their_values_are_not_read(kind: str) -> None:
    found = compiled(kind, outline.writes_of_checkpoints(kind))
    assert "GROUP BY" in found.text
    assert "ckpt_write" in found.tables


@pytest.mark.parametrize("in_namespace", [True, False])
def test_two_checkpoints_tell_that_a_beginning_is_ambiguous(kind: str, in_namespace: bool) -> None:
    found = compiled(kind, outline.checkpoints_from(kind, in_namespace))
    assert "LIMIT 2" in " ".join(found.text.split())
    assert ("checkpoint_ns" in found.parameters) == in_namespace


def test_a_thread_is_found_by_its_id(kind: str) -> None:
    assert compiled(kind, outline.thread(kind)).tables == {"ckpt_thread"}
