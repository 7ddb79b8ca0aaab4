"""The statement that replaces a row's payload, if it is still the one that was read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any
from zlib import crc32

import pytest
from sqlalchemy import Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.compiler import SQLCompiler

from ckptstore.db.sql.reencrypt import replace_payload
from ckptstore.db.sql.tables import CHANNEL, CHECKPOINT, WRITE
from tests.support.statements import compiled

MASK = crc32(b"hidden")


@pytest.mark.parametrize("table", [CHECKPOINT, CHANNEL, WRITE], ids=str)
def test_the_row_is_found_by_its_key_and_compared_with_what_was_read(kind: str, table: Table) -> None:
    found = compiled(kind, replace_payload(kind, table))
    key = {column.name for column in table.primary_key}
    cells = {"body"} if table is CHECKPOINT else {"layout", "size", "value"}
    assert found.parameters == key | {"old_type", "old_checksum"} | {f"new_{name}" for name in {"type", "checksum"} | cells}
    assert found.tables == {table.name}


@pytest.mark.parametrize(("stored", "changed"), [(5, 1), (6, 0), (None, 0)])
@pytest.mark.parametrize("hidden", [False, True])
def test_a_row_that_changed_since_is_left_alone(stored: int | None, changed: int, hidden: bool) -> None:
    mask = MASK if hidden else 0
    key = {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "c"}
    given: dict[str, Any] = {**key, "old_type": "plain", "old_checksum": 5, "new_type": "sealed", "new_checksum": 9, "new_body": b"new"}
    made = replace_payload("sqlite", CHECKPOINT).compile(dialect=sqlite.dialect())
    assert isinstance(made, SQLCompiler)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(str(CreateTable(CHECKPOINT).compile(dialect=sqlite.dialect())).replace("NOT NULL", ""))
        row = (*key.values(), "plain", b"old", None if stored is None else stored ^ mask, hidden)
        connection.execute(
            f"INSERT INTO ckpt_checkpoint ({', '.join(key)}, type, body, checksum, hidden) VALUES (?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        arguments = [{**made.params, **given}[name] for name in made.positiontup or ()]
        assert connection.execute(str(made), arguments).rowcount == changed
        after = connection.execute("SELECT type, body, checksum FROM ckpt_checkpoint").fetchone()
        assert after == (("sealed", b"new", 9 ^ mask) if changed else ("plain", b"old", row[5]))
