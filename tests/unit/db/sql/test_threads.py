"""Statements on the rows of threads."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import ClauseElement

from ckptstore.db.sql import threads
from ckptstore.db.sql.pages import Shape
from tests.support.statements import OF_VALUES, compiled


def test_a_thread_is_locked_by_the_statement_that_reads_its_stamp(kind: str) -> None:
    read, locked = compiled(kind, threads.thread_stamp(kind)), compiled(kind, threads.lock_thread(kind))
    assert locked.text == read.text + (" FOR UPDATE" if kind == "postgresql" else "")
    assert all(name in read.text for name in ("generation", "checkpoint_count", "updated_at"))


@pytest.mark.parametrize("build", [threads.recount, threads.subtract_deleted])
def test_counters_change_together_with_the_generation(kind: str, build: Callable[[str], ClauseElement]) -> None:
    found = compiled(kind, build(kind))
    assert "generation=(ckpt_thread.generation + 1)" in found.text
    assert "checkpoint_count=" in found.text
    assert "thread_id" in found.parameters


def test_only_an_empty_threads_row_is_deleted(kind: str) -> None:
    found = compiled(kind, threads.delete_empty_thread(kind))
    assert found.text.count("NOT (EXISTS") == 2
    assert found.tables == {"ckpt_thread", "ckpt_checkpoint", "ckpt_write"}


@pytest.mark.parametrize(("order_by", "ending"), [("updated_at", "DESC"), ("thread_id", "ckpt_thread.thread_id")])
def test_a_page_is_in_its_order_and_continues_after_a_thread(kind: str, order_by: str, ending: str) -> None:
    found = compiled(kind, threads.page_of_threads(kind, order_by, Shape(given=frozenset({"after"}))))
    assert found.text.partition("ORDER BY ")[2].partition(" LIMIT")[0].endswith(ending)
    assert "after_thread_id" in found.parameters
    assert ("after_updated_at" in found.parameters) == (order_by == "updated_at")


@pytest.mark.parametrize("source", ["list", "span", "span and below"])
def test_threads_found_by_tags_are_looked_up_once_each(kind: str, source: str) -> None:
    found = compiled(kind, threads.page_of_threads(kind, "updated_at", Shape(source, required=(False,), forbidden=1)))
    assert {"ckpt_thread", "ckpt_tag_posting", "ckpt_tag_thread", *OF_VALUES[kind]} <= found.tables
    assert "DISTINCT" in found.text
    assert {"has_0_key", "excluded_0_key"} <= found.parameters


@pytest.mark.parametrize("source", ["list", "span", "span and below"])
def test_threads_with_a_tag_are_found_without_naming_their_checkpoints(kind: str, source: str) -> None:
    found = compiled(kind, threads.page_of_threads(kind, "updated_at", Shape(source)))
    assert "checkpoint_id" not in found.text
    assert "checkpoint_id" in compiled(kind, threads.page_of_threads(kind, "updated_at", Shape(source, forbidden=1))).text


def test_metadata_is_read_for_any_number_of_threads(kind: str) -> None:
    found = compiled(kind, threads.metadata_of_threads(kind, Shape()))
    assert found.parameters == {"threads"}
    assert "hidden IS " in found.text
    assert compiled(kind, threads.threads_after(kind)).parameters == {"after", "page_size"}
