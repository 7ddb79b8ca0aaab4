"""Statements that copy a thread."""

from __future__ import annotations

import pytest
from sqlalchemy import Table

from ckptstore.db.sql.copy import copy_rows, unhide_copied
from ckptstore.db.sql.tables import CHANNEL, CHECKPOINT, SEGMENT, THREAD, WRITE
from tests.support.statements import compiled


@pytest.mark.parametrize("table", [THREAD, CHECKPOINT, CHANNEL, WRITE, SEGMENT], ids=str)
def test_all_columns_are_copied_and_rows_of_the_target_kept(kind: str, table: Table) -> None:
    found = compiled(kind, copy_rows(kind, table))
    listed = found.text.partition("(")[2].partition(")")[0].split(", ")
    assert listed == [column.name for column in table.c]
    assert found.text.endswith("DO NOTHING")
    # A checksum covers the thread id; a segment's digest does not.
    more = {"generation"} if table is THREAD else {"checksum_mask"} if table is not SEGMENT else set()
    assert found.parameters == {"thread_id", "target"} | more


def test_only_what_the_source_shows_is_unhidden(kind: str) -> None:
    found = compiled(kind, unhide_copied(kind))
    assert found.text.startswith("UPDATE ckpt_checkpoint SET hidden=")
    assert found.parameters == {"thread_id", "target"}
    assert found.text.count("hidden IS ") == 2
