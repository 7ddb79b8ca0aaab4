"""What all tables share."""

from __future__ import annotations

from sqlalchemy import make_url

from ckptstore.db.tables import METADATA, TABLE_PREFIX, Key


def test_keys_compare_as_bytes_on_either_database() -> None:
    assert Key.compile(make_url("postgresql://").get_dialect()()) == 'TEXT COLLATE "C"'
    # SQLite's own comparison is that of bytes.
    assert Key.compile(make_url("sqlite://").get_dialect()()) == "TEXT"


def test_every_table_has_the_prefix() -> None:
    assert [name for name in METADATA.tables if not name.startswith(TABLE_PREFIX)] == []
