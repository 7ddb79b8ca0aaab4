"""Columns with the key of a checkpoint."""

from __future__ import annotations

from ckptstore.db.sql.key_columns import key_in
from ckptstore.db.sql.tables import CHECKPOINT, CHECKPOINT_KEY, WRITE


def test_a_key_is_compared_column_by_column() -> None:
    conditions = key_in(CHECKPOINT).equals(WRITE)
    assert [str(each) for each in conditions] == [f"ckpt_write.{name} = ckpt_checkpoint.{name}" for name in CHECKPOINT_KEY]
