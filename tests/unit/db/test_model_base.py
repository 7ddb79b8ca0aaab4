"""What the models of all tables share."""

from __future__ import annotations

from sqlalchemy import Column, MetaData, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable

from ckptstore.db.model_base import CLUSTERED, Key, Number


def test_texts_compare_as_bytes_and_sqlite_assigns_numbers() -> None:
    table = Table("t", MetaData(), Column("n", Number, primary_key=True), Column("k", Key))
    on_sqlite, on_server = (str(CreateTable(table).compile(dialect=each.dialect())) for each in (sqlite, postgresql))
    assert "n INTEGER NOT NULL" in on_sqlite
    assert "n BIGSERIAL" in on_server
    assert 'k TEXT COLLATE "C"' in on_server


def test_a_clustered_table_has_no_row_ids() -> None:
    table = Table("t", MetaData(), Column("k", Key, primary_key=True), **CLUSTERED)
    assert "WITHOUT ROWID" in str(CreateTable(table).compile(dialect=sqlite.dialect()))
