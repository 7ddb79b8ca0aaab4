"""Statements on the settings that all savers on a database share."""

from __future__ import annotations

from ckptstore.db.sql import settings_table
from tests.support.statements import compiled


def test_a_setting_is_locked_while_it_is_changed(kind: str) -> None:
    read, locked = compiled(kind, settings_table.setting(kind)), compiled(kind, settings_table.lock_setting(kind))
    assert locked.text == read.text + (" FOR UPDATE" if kind == "postgresql" else "")
    assert read.parameters == {"name"}


def test_a_setting_is_replaced_or_kept(kind: str) -> None:
    assert compiled(kind, settings_table.set_setting(kind, "replace")).text.endswith("SET value = excluded.value")
    assert compiled(kind, settings_table.set_setting(kind, "keep")).text.endswith("DO NOTHING")
    assert compiled(kind, settings_table.delete_setting(kind)).parameters == {"name"}


def test_whether_there_is_any_checkpoint_reads_one_row(kind: str) -> None:
    assert compiled(kind, settings_table.any_checkpoint(kind)).text.startswith("SELECT 1 FROM ckpt_checkpoint LIMIT 1")
