"""Statements that copy a thread."""

from __future__ import annotations

import pytest
from sqlalchemy import Table

from ckptstore.db.sql.copy import COPIED, copy_rows, copy_thread_row, key_sizes, show_checkpoints
from ckptstore.db.sql.tables import SEGMENT, THREAD
from tests.support.statements import compiled


def keys_of(table: Table, *prefixes: str) -> set[str]:
    """The parameters of whole keys of a table."""
    return {f"{prefix}_{column.name}" for prefix in prefixes for column in table.primary_key}


@pytest.mark.parametrize("table", [THREAD, *COPIED], ids=str)
def test_all_columns_are_copied_and_rows_of_the_target_kept(kind: str, table: Table) -> None:
    found = compiled(kind, copy_thread_row(kind) if table is THREAD else copy_rows(kind, table))
    listed = found.text.partition("(")[2].partition(")")[0].split(", ")
    assert listed == [column.name for column in table.c]
    assert found.text.endswith("DO NOTHING")
    # A checksum covers the thread id; a segment's digest does not.
    more = {"generation"} if table is THREAD else keys_of(table, "after", "last") | (set() if table is SEGMENT else {"checksum_mask"})
    assert found.parameters == {"thread_id", "target"} | more


@pytest.mark.parametrize("table", COPIED, ids=str)
def test_a_page_of_keys_has_the_whole_key_after_the_size(kind: str, table: Table) -> None:
    found = compiled(kind, key_sizes(kind, table))
    key = ", ".join(f"{table.name}.{column.name}" for column in table.primary_key)
    assert f", {key}" in found.text.partition("FROM")[0].replace(" \n", " ")
    assert found.parameters == {"thread_id", "page_size"} | keys_of(table, "after")


def test_only_hidden_checkpoints_are_shown(kind: str) -> None:
    found = compiled(kind, show_checkpoints(kind))
    assert found.text.startswith("UPDATE ckpt_checkpoint SET hidden=")
    assert "hidden IS " in found.text.partition("WHERE")[2]
    assert "RETURNING" in found.text
