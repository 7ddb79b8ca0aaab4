"""Statements of a transfer have all columns of the tables in order: their rows are inserted as they are."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore.db.sql import transfer
from ckptstore.db.sql.tables import THREAD


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize("table", transfer.THREAD_TABLES, ids=str)
def test_rows_have_the_columns_of_their_table(database: str, table: Any) -> None:
    names = [column.name for column in table.c]
    assert [column.name for column in transfer.rows_of_threads(database, table).selected_columns] == names
    assert [column.name for column in transfer.rows_between(database, table).selected_columns] == names
    marks = [column.name for column in transfer.marks_page(database, table).selected_columns]
    assert marks == [*transfer.key_in_thread(table), "bytes", "checksum"]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_threads_have_all_columns(database: str) -> None:
    names = [column.name for column in THREAD.c]
    assert [column.name for column in transfer.page_of_threads(database, frozenset()).selected_columns] == names
    assert [column.name for column in transfer.given_threads(database).selected_columns] == names
