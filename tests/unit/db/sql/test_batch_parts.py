"""The parts of a batch, and what must exist before it is stored."""

from __future__ import annotations

import pytest

from ckptstore.db.sql.batch_parts import BATCH_NEEDS, BATCH_ROWS, metadata_of, missing_needs
from ckptstore.db.sql.tables import CHANNEL, CHECKPOINT, SEGMENT, TAG, WRITE
from tests.support.statements import compiled


@pytest.mark.parametrize("need", BATCH_NEEDS)
def test_what_is_missing_is_named_by_its_entry_and_its_key(kind: str, need: str) -> None:
    table, key = BATCH_NEEDS[need]
    statement = missing_needs(kind, need)
    found = compiled(kind, statement)
    assert statement.selected_columns.keys()[1:] == list(key)
    assert found.text.startswith("SELECT CAST(")
    assert found.tables == {table.name}
    assert "NOT (EXISTS" in found.text
    # As many keys as there are: the statement's text stays the same.
    assert found.parameters == ({"keys"} if kind == "sqlite" else {f"keys_{name}" for name in (*key, "entry_no")})


def test_every_row_of_a_checkpoint_and_of_writes_has_a_part() -> None:
    assert {table for table, _ in BATCH_ROWS.values()} == {CHECKPOINT, CHANNEL, TAG, SEGMENT, WRITE}
    # A task's results are kept as they were first put; what interrupts and errors say is replaced.
    assert (BATCH_ROWS["kept_writes"][1], BATCH_ROWS["replaced_writes"][1]) == ("keep", "replace")


def test_metadata_is_read_as_text_by_key(kind: str) -> None:
    found = compiled(kind, metadata_of(kind))
    assert found.tables == {"ckpt_checkpoint"}
    assert "metadata AS TEXT" in found.text
