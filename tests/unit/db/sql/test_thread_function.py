"""The function that stores the writes of one thread: its definition and its call."""

from __future__ import annotations

import re

from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql import asyncpg

from ckptstore.db.sql.batch_function import PARTS
from ckptstore.db.sql.routing import PER_THREAD
from ckptstore.db.sql.thread_function import FUNCTION, commit_thread, definition
from tests.support.statements import compiled

DIALECT: Dialect = asyncpg.dialect()  # type: ignore[no-untyped-call]


def test_the_call_names_the_thread_first_and_sends_every_part_as_a_text() -> None:
    made = compiled("postgresql", commit_thread("postgresql", "Mixed Case"))
    assert f'"Mixed Case".{FUNCTION}(' in made.text
    assert made.parameters == {"for_thread", "wait_for_locks", "new_generation", "data", *PARTS}
    text = str(commit_thread("postgresql", "s").compile(dialect=DIALECT))
    assert text.index("$1::VARCHAR") < text.index("$4")
    assert "CAST" not in text


def test_every_statement_of_the_function_names_its_thread() -> None:
    create, distribute = definition('"my schema"')
    assert "SCHEMA" not in create.replace('"my schema"', "")
    inserts = re.findall(r'INSERT INTO "my schema"\.(ckpt_\w+)[^(]*\(\s*([^)]*)\)\s+VALUES \(\s*(.*?)\n', create, flags=re.DOTALL)
    assert {table for table, _, _ in inserts} == PER_THREAD & {table for table, _, _ in inserts}
    for _, columns, values in inserts:
        position = [name.strip() for name in columns.split(",")].index("thread_id")
        assert values.split(", ")[position].strip("(") == "for_thread"
    for condition in re.findall(r"WHERE (\w+) = (\w+)", create):
        assert condition == ("thread_id", "for_thread")
    assert distribute.startswith('SELECT create_distributed_function(\'"my schema".ckpt_commit_thread_1(text, text, bigint, bytea, text')


def test_a_schema_with_a_quote_is_quoted_in_texts() -> None:
    assert "'\"it''s\".ckpt_thread'" in definition('"it\'s"')[1]
