"""Statements of a prune: they delete by whole keys, say what they freed, and page through threads in order."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import ClauseElement

from ckptstore.db.sql import prune
from ckptstore.db.sql.tables import CHECKPOINT_KEY, VERSION_KEY
from tests.support.statements import compiled


@pytest.mark.parametrize(
    ("build", "table", "key"),
    [
        (prune.delete_checkpoints, "ckpt_checkpoint", CHECKPOINT_KEY),
        (prune.delete_writes, "ckpt_write", CHECKPOINT_KEY),
        (prune.delete_values, "ckpt_channel", VERSION_KEY),
    ],
    ids=["checkpoints", "writes", "values"],
)
def test_what_is_given_is_deleted_and_its_bytes_are_counted(
    kind: str, build: Callable[[str], ClauseElement], table: str, key: tuple[str, ...]
) -> None:
    found = compiled(kind, build(kind))
    assert found.text.startswith(f"DELETE FROM {table} {'WHERE' if kind == 'sqlite' else 'USING'} ")
    assert "length(" in found.text.partition("RETURNING")[2]
    assert found.tables == {table}
    assert found.parameters == ({"keys"} if kind == "sqlite" else {f"keys_{name}" for name in key})


def test_a_hidden_checkpoint_stays_a_row(kind: str) -> None:
    assert compiled(kind, prune.hide_checkpoints(kind)).text.startswith("UPDATE ckpt_checkpoint SET hidden=")


def test_segments_are_linked_by_channels_by_writes_and_by_lists(kind: str) -> None:
    found = compiled(kind, prune.delete_unlinked_segments(kind))
    assert found.tables == {"ckpt_segment", "ckpt_channel", "ckpt_write"}
    assert found.parameters == {"thread_id", "max_rows", "max_bytes"}
    # A null among them would let NOT IN find nothing.
    assert "value IS NOT NULL" in found.text


def test_a_write_is_orphaned_only_when_it_is_old(kind: str) -> None:
    for statement in (prune.delete_orphaned_writes(kind), prune.threads_with_orphaned_writes(kind)):
        found = compiled(kind, statement)
        assert "cutoff" in found.parameters
        assert "NOT (EXISTS" in found.text
        assert found.tables <= {"ckpt_write", "ckpt_checkpoint", "ckpt_thread"}


@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        (prune.old_checkpoints, {"cutoff", "after_created_at", "after_thread_id", "after_checkpoint_ns", "after_checkpoint_id"}),
        (prune.idle_threads, {"cutoff", "after_updated_at", "after_thread_id"}),
        (prune.long_threads, {"longest", "after_thread_id"}),
        (prune.threads_with_orphaned_writes, {"cutoff", "after_thread_id"}),
    ],
)
def test_threads_are_read_in_pages(kind: str, build: Callable[[str], ClauseElement], parameters: set[str]) -> None:
    found = compiled(kind, build(kind))
    assert found.parameters == parameters | {"page_size"}
    assert "ORDER BY" in found.text


def test_a_decision_reads_no_payload(kind: str) -> None:
    selected = compiled(kind, prune.thread_nodes(kind)).text.partition(" FROM ")[0]
    assert "body" not in selected
    assert "hidden" in selected
