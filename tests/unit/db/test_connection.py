"""One connection: rows go in by few statements, and transactions end whole."""

from __future__ import annotations

import sqlite3

import pytest

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql.insert import in_powers_of_two


def segments(count: int) -> list[tuple[object, ...]]:
    return [("t", f"digest-{number}", 1, "raw", b"x", None) for number in range(count)]


def count(db: Db) -> int:
    found: int = db.execute("SELECT count(*) FROM ckpt_segment").scalar_one()
    return found


def test_any_number_of_rows_is_inserted_by_statements_of_few_lengths(db: Db) -> None:
    for number in (0, 1, 3, 200):
        lengths = [len(part) for part in in_powers_of_two(segments(number))]
        assert sum(lengths) == number
        assert set(lengths) <= {1, 2, 4, 8, 16, 32, 64}
    assert db.insert(sql.tables.SEGMENT, "keep", segments(200)) == 200
    assert db.insert(sql.tables.SEGMENT, "keep", segments(201)) == 1
    assert db.insert(sql.tables.SEGMENT, "keep", []) == 0
    assert count(db) == 201


def test_a_transaction_that_fails_leaves_nothing_and_the_connection_usable(db: Db) -> None:
    def insert_and_fail() -> None:
        with db.transaction():
            db.insert(sql.tables.SEGMENT, "keep", segments(5))
            raise KeyError

    with pytest.raises(KeyError):
        insert_and_fail()
    assert count(db) == 0
    with db.transaction():
        db.insert(sql.tables.SEGMENT, "keep", segments(5))
    assert count(db) == 5


@pytest.mark.parametrize("observed", [False, True])
def test_errors_are_the_drivers_own(db: Db, observed: bool) -> None:
    db.observed = observed
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        db.execute("SELECT * FROM missing")
    assert db.execute("SELECT 1 WHERE 1 = ?", (1,)).all() == [(1,)]


def test_a_cancelled_statement_takes_its_connection_along(db: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_text: str, _arguments: object) -> None:
        raise KeyboardInterrupt

    db.observed = True
    monkeypatch.setattr(db.connection, "exec_driver_sql", interrupted)
    with pytest.raises(KeyboardInterrupt):
        db.execute("SELECT 1")
    assert db.connection.invalidated
