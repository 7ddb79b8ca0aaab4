"""A batch as one insert on SQLite: a view whose triggers pass each row on to its table."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from ckptstore.db.models import Base
from ckptstore.db.sql.batch_parts import BATCH_NEEDS, BATCH_ROWS
from ckptstore.db.sql.batch_sqlite import EMPTY, batch_trigger, batch_view, insert_batch, row_statements, view_rows
from ckptstore.db.tag_tables import ON_SQLITE
from tests.support.statements import compiled

PARTS = (*BATCH_ROWS, *BATCH_NEEDS, "threads")
THREAD = ("t", 1, 1, 0, 1, 10)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """Empty tables, and the view."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for table in (*Base.metadata.tables.values(), *ON_SQLITE.tables.values()):
            connection.execute(str(CreateTable(table).compile(dialect=sqlite.dialect())))
        connection.execute(batch_view())
        for part in PARTS:
            connection.execute(batch_trigger(part))
        yield connection


def insert(connection: sqlite3.Connection, parts: dict[str, list[tuple[object, ...]]]) -> None:
    rows = [*view_rows(parts), EMPTY]
    connection.execute(compiled("sqlite", insert_batch("sqlite", len(rows))).text, [cell for row in rows for cell in row])


def test_every_part_has_a_trigger() -> None:
    assert all(f"WHEN NEW.part = '{part}'" in batch_trigger(part) for part in PARTS)


def test_rows_reach_their_tables_and_empty_ones_do_not(connection: sqlite3.Connection) -> None:
    insert(connection, {"threads": [THREAD], "tags": [("key", "value", "c", "t", "")] * 3})
    insert(connection, {"threads": [THREAD]})
    assert connection.execute("SELECT thread_id, checkpoint_count, size FROM ckpt_thread").fetchall() == [("t", 2, 20)]
    assert connection.execute("SELECT key, value FROM ckpt_tag_posting").fetchall() == [("key", "value")]


@pytest.mark.parametrize(("need", "key"), [("known", ("t", "digest")), ("carried", ("t", "", "channel", "1"))])
def test_a_batch_that_builds_on_what_is_missing_stores_nothing(connection: sqlite3.Connection, need: str, key: tuple[str, ...]) -> None:
    with pytest.raises(sqlite3.IntegrityError, match=f"{need} rows are missing"):
        insert(connection, {"threads": [THREAD], need: [key]})
    assert connection.execute("SELECT count(*) FROM ckpt_thread").fetchone() == (0,)


def test_small_rows_of_text_are_sent_as_one_list_and_lengths_are_few() -> None:
    rows = view_rows({"tags": [("a", "b"), ("c", "d")], "threads": [THREAD]})
    assert len(rows) == 2
    assert (rows[0][0], json.loads(rows[0][1])) == ("tags", [["a", "b"], ["c", "d"]])
    assert {len(row) for row in (*rows, EMPTY)} == {len(EMPTY)}


def test_statements_by_themselves_do_what_the_triggers_do(connection: sqlite3.Connection) -> None:
    parts: dict[str, list[tuple[object, ...]]] = {
        part: [tuple(f"{part} {number}" for number in range(len(table.c)))] for part, (table, _) in BATCH_ROWS.items() if part != "tags"
    }
    parts |= {"threads": [("t", 1, 5_000_000, 0, 1, 10)], "tags": [("key", "value", "c", "t", ""), ("key", "other", "c", "t", "")]}

    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]

    def stored() -> list[list[tuple[object, ...]]]:
        return [connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in names]

    empty = stored()
    connection.execute("BEGIN")
    insert(connection, parts)
    insert(connection, {"threads": parts["threads"]})
    by_triggers = stored()
    connection.execute("ROLLBACK")
    assert stored() == empty
    for row in [*view_rows(parts), *view_rows({"threads": parts["threads"]})]:
        for text, places in row_statements(row[0]):
            connection.execute(text, [row[place] for place in places])
    assert stored() == by_triggers
    assert by_triggers != empty
