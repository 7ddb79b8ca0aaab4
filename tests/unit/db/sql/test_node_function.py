"""The function that stores batches on a node, and the copies that it calls: their definitions and its call."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql import asyncpg

from ckptstore.db.migration_texts import text_that_creates
from ckptstore.db.sql.batch_function import FUNCTION as BATCH_FUNCTION
from ckptstore.db.sql.batch_function import HELD_FUNCTION
from ckptstore.db.sql.node_function import FUNCTION, commit_on_node, copy_for_shard, definition
from ckptstore.db.sql.routing import PER_THREAD
from tests.support.statements import compiled

DIALECT: Dialect = asyncpg.dialect()  # type: ignore[no-untyped-call]


def test_the_call_names_a_thread_first_and_casts_no_parameter() -> None:
    made = compiled("postgresql", commit_on_node("postgresql", "Mixed Case"))
    assert f'"Mixed Case".{FUNCTION}(' in made.text
    assert made.parameters == {"for_thread", "wait_for_locks", "new_generation", "data", "shards", "parts"}
    text = str(commit_on_node("postgresql", "s").compile(dialect=DIALECT))
    assert text.index("$1::VARCHAR") < text.index("$4")
    # Citus can't send the cast of a parameter.
    assert "CAST" not in text


def test_every_shard_has_a_branch_with_its_copies() -> None:
    _, create, distribute = definition('"my SCHEMA"', "my SCHEMA", [7, 8])
    calls = re.findall(r'answer := "my SCHEMA"\.(\w+)\((.*)\);', create)
    assert [name for name, _ in calls] == [f"{name}_{shard}" for shard in (7, 8) for name in (BATCH_FUNCTION, HELD_FUNCTION)]
    for name, arguments in calls:
        assert ("[at + 1]" in arguments) == name.startswith(HELD_FUNCTION)
        assert "'my SCHEMA', wait_for_locks, new_generation, data" in arguments
    assert f"'\"my SCHEMA\".{FUNCTION}(text, text, bigint, bytea, text, text)', 'for_thread', colocate_with" in distribute


def test_where_all_is_on_one_node_no_argument_says_where_it_goes() -> None:
    assert "'for_thread'" not in definition('"s"', "s", [7], by_thread=False)[2]


def test_quotes_in_the_name_of_a_schema_are_doubled() -> None:
    _, create, distribute = definition('"it\'s"', "it's", [7])
    assert "'\"it''s\".ckpt_thread'" in distribute
    assert "('it''s', wait_for_locks" in create


@pytest.mark.parametrize("function", [BATCH_FUNCTION, HELD_FUNCTION])
def test_a_copy_names_only_tables_and_functions_of_its_shard(function: str) -> None:
    tables = {table: f"{table}_{number}" for number, table in enumerate(sorted(PER_THREAD), 200)}
    copy = copy_for_shard(text_that_creates(function), '"s"', "s", 200, tables)
    named = set(re.findall(r'"s"\.(\w+)', copy))
    assert f"{function}_200" in named
    assert named <= {*tables.values(), f"{BATCH_FUNCTION}_200", f"{HELD_FUNCTION}_200"}
    assert "IF for_schema <> 's' OR" in copy
    assert "%" not in copy
