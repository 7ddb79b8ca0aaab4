"""Statements that read checkpoints: one snapshot of everything, by key, and nothing that is hidden."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import ClauseElement

from ckptstore.db.sql import checkpoints
from ckptstore.langgraph.format import LANGGRAPH
from tests.support.statements import compiled

WHOLE = [checkpoints.newest_whole, checkpoints.exact_whole, checkpoints.named_whole]


@pytest.mark.parametrize("build", WHOLE)
def test_a_whole_checkpoint_is_one_statement_over_all_its_tables(kind: str, build: Callable[..., ClauseElement]) -> None:
    found = compiled(kind, build(kind, LANGGRAPH))
    assert found.tables == {"ckpt_checkpoint", "ckpt_channel", "ckpt_write", "ckpt_segment"}
    assert found.text.count(" UNION ALL SELECT ") >= 4
    assert "hidden IS " in found.text


@pytest.mark.parametrize("build", [checkpoints.newest, checkpoints.exact, checkpoints.newest_id, checkpoints.metadata_of_thread])
def test_hidden_checkpoints_are_not_read(kind: str, build: Callable[..., ClauseElement]) -> None:
    found = compiled(kind, build(kind))
    assert "hidden IS " in found.text.partition("WHERE")[2]
    assert "thread_id" in found.parameters


def test_a_history_is_read_through_hidden_checkpoints_too(kind: str) -> None:
    # Their checksum is told from that of a visible one; no row is left out.
    assert " hidden IS " not in compiled(kind, checkpoints.ancestors(kind)).text.replace("ckpt_checkpoint.", "")


def test_the_newest_has_the_greatest_id(kind: str) -> None:
    found = compiled(kind, checkpoints.newest(kind))
    assert "ORDER BY ckpt_checkpoint.checkpoint_id DESC LIMIT 1" in found.text
    assert found.parameters == {"thread_id", "checkpoint_ns"}


def test_a_cycle_of_parents_ends_the_walk(kind: str) -> None:
    found = compiled(kind, checkpoints.ancestors(kind))
    assert "WITH RECURSIVE walk" in found.text
    assert " UNION SELECT " in found.text
    assert " UNION ALL " not in found.text
    assert found.parameters == {"thread_id", "checkpoint_ns", "checkpoint_id", "page_size"}


@pytest.mark.parametrize("build", [checkpoints.stored_among, checkpoints.channel_values, checkpoints.segments, checkpoints.channel_writes])
def test_any_number_of_keys_has_the_same_statement(kind: str, build: Callable[..., ClauseElement]) -> None:
    parameters = compiled(kind, build(kind)).parameters
    assert parameters == {"keys"} if kind == "sqlite" else all(name.startswith("keys_") for name in parameters)
