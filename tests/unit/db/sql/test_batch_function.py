"""The call of the function that stores batches, and the texts that the server reads as arrays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import ClauseElement
from sqlalchemy.dialects.postgresql import asyncpg, psycopg

from ckptstore.db.sql.batch_function import FUNCTION, HELD_FUNCTION, PARTS, array_literal, commit_batch, commit_held_batch
from tests.support.statements import compiled

MIGRATIONS = Path(__file__).parents[4] / "migrations/versions"
MIGRATION = MIGRATIONS / "0006_batches_by_a_function.py"


def on(driver: Any, statement: ClauseElement) -> str:
    """A statement's text for a driver."""
    return str(statement.compile(dialect=driver.dialect()))


def test_the_call_sends_the_parameters_of_the_migration_in_its_order() -> None:
    head = MIGRATION.read_text().partition("ckpt_commit_batch_1(")[2].partition(") RETURNS")[0]
    names = re.findall(r"(\w+) (?:text\[\]|text|bigint|bytea)", re.sub("--.*", "", head))
    text = on(psycopg, commit_batch("postgresql", "s"))
    assert re.findall(r"%\((\w+)\)s", text) == names
    assert names[4:] == list(PARTS)


def test_the_one_under_leases_takes_the_same_after_them() -> None:
    head = (MIGRATIONS / "0009_leases_of_threads.py").read_text().partition("ckpt_commit_held_1(")[2].partition(") RETURNS")[0]
    names = re.findall(r"(\w+) (?:text\[\]|text|bigint|bytea)", re.sub("--.*", "", head))
    text = on(psycopg, commit_held_batch("postgresql", "s"))
    assert re.findall(r"%\((\w+)\)s", text) == names
    assert names[0] == "leases"
    assert names[1:] == re.findall(r"%\((\w+)\)s", on(psycopg, commit_batch("postgresql", "s")))
    assert HELD_FUNCTION in text


def test_what_depends_on_the_batch_is_left_to_the_caller() -> None:
    assert compiled("postgresql", commit_batch("postgresql", "s")).parameters == {"wait_for_locks", "new_generation", "data", *PARTS}


@pytest.mark.parametrize(
    ("schema", "quoted"), [("public", '"public"'), ("MixedCase", '"MixedCase"'), ('a"; --', '"a""; --"'), ("select", '"select"')]
)
def test_the_schema_is_quoted(schema: str, quoted: str) -> None:
    text = on(asyncpg, commit_batch("postgresql", schema))
    assert text.startswith(f"SELECT {quoted}.{FUNCTION}($1::")


@pytest.mark.parametrize(
    ("elements", "literal"),
    [
        ([""], '{""}'),
        (["a", "", "NULL"], '{"a","","NULL"}'),
        (['"', "\\", '\\"', "{,}"], r'{"\"","\\","\\\"","{,}"}'),
        # A NUL is the server's to refuse; it never moves what follows it into another column.
        (["a\0b", 'c"'], '{"a\0b","c\\""}'),
    ],
)
def test_texts_become_an_array(elements: list[str], literal: str) -> None:
    assert array_literal(elements) == literal
