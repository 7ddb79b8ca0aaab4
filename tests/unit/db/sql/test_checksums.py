"""Checksums of rows in statements: what SQL computes is what `values.checksums` computes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from zlib import crc32

import pytest
from sqlalchemy import BigInteger, column, literal_column, select, table
from sqlalchemy.sql.schema import Column

from ckptstore.db.sql import checksums
from tests.support.statements import compiled

ROWS = table("rows", column("hidden"), Column("checksum", BigInteger))


def evaluate(text: str, rows: list[tuple[bool, int | None]] = [(False, 0)]) -> list[int | None]:  # noqa: B006
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE rows (hidden, checksum)")
        connection.executemany("INSERT INTO rows VALUES (?, ?)", rows)
        return [value for (value,) in connection.execute(text)]


@pytest.mark.parametrize(("checksum", "mask"), [(0, 0), (2**32 - 1, 2**32 - 1), (0b1100, 0b1010), (3_141_592_653, 2_718_281_828)])
def test_a_mask_is_combined_by_exclusive_or(checksum: int, mask: int) -> None:
    made = checksums.combined(literal_column(str(checksum), BigInteger), literal_column(str(mask), BigInteger))
    assert evaluate(compiled("sqlite", select(made)).text) == [checksum ^ mask]


def test_hiding_a_checkpoint_changes_its_checksum_once_and_unhiding_restores_it() -> None:
    rows: list[tuple[bool, int | None]] = [(False, 77), (True, 77 ^ crc32(b"hidden")), (False, None)]
    hidden = evaluate(compiled("sqlite", select(checksums.of_hidden(ROWS))).text, rows)
    visible = evaluate(compiled("sqlite", select(checksums.of_visible(ROWS))).text, rows)
    assert visible == [77, 77, None]
    assert hidden == [rows[1][1], rows[1][1], None]


def test_rows_of_earlier_releases_without_a_checksum_stay_without_one() -> None:
    made = checksums.combined(literal_column("NULL", BigInteger), checksums.HIDDEN)
    assert evaluate(compiled("sqlite", select(made)).text) == [None]
