"""The cache of compiled statements: bounded, and right whoever uses it at the same time."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import ClauseElement, Dialect, bindparam, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from ckptstore.db import statement
from ckptstore.db.sql.pages import page_whole
from ckptstore.db.statement import CompiledStatement, Statements, statements_for
from ckptstore.langgraph.format import LANGGRAPH
from tests.support.shapes import ARGUMENTS


def build(_database: str, number: int) -> ClauseElement:
    return select(bindparam("given"), literal_column(str(number)))


def test_the_statements_used_last_are_kept_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement, "MAX_STATEMENTS", 50)
    statements = Statements(sqlite.dialect(), None)
    often = statements[build, 1]
    for number in range(2, 250):
        statements[build, number]
        assert statements[build, 1] is often
        assert len(statements) + len(statements._older) <= 100
    # One that was evicted while someone held it still works, and is compiled again for the next.
    assert often.arguments({"given": "x"}) == ("x",)
    assert statements[build, 2].text.endswith(", 2")


def test_several_worker_threads_get_the_same_text() -> None:
    statements = Statements(sqlite.dialect(), None)
    numbers = [number % 700 for number in range(2_000)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: statements[build, number].text, numbers))
    assert [text.split()[-1] for text in found] == [str(number) for number in numbers]


def renumbered(text: str) -> str:
    """A statement's text, whatever the numbers of names that nobody gave."""
    return re.sub(r"\banon_\d+\b", "anon", text)


@pytest.mark.parametrize("schema", [None, "a schema"])
@pytest.mark.parametrize("dialect", [SQLiteDialect_pysqlite, PGDialect_asyncpg, PGDialect_psycopg])
def test_a_page_in_two_parts_is_the_statement(dialect: Callable[[], Dialect], schema: str | None) -> None:
    statements = Statements(used := dialect(), schema)
    # The others have the same parts in other combinations.
    for shape in [shape for shape, _ in ARGUMENTS[page_whole]][:: 10 if schema is None else 30]:
        ours = statements[page_whole, shape, LANGGRAPH]
        whole = CompiledStatement(page_whole(used.name, shape, LANGGRAPH), used, schema)
        assert renumbered(ours.text) == renumbered(whole.text)
        assert (ours._positions, ours._defaults) == (whole._positions, whole._defaults)
        assert (ours.cells, ours.takes_references) == (whole.cells, whole.takes_references)


def test_stores_share_statements_where_driver_and_schema_are_the_same() -> None:
    shared = statements_for(sqlite.dialect(), None)
    assert statements_for(sqlite.dialect(), None) is shared
    others = [statements_for(postgresql.dialect(), schema) for schema in (None, "one", "two")]  # type: ignore[no-untyped-call]
    assert len({id(each) for each in (shared, *others)}) == 4
    assert [each.table_name("t") for each in others] == ["t", "one.t", "two.t"]


def test_the_statements_of_few_schemas_are_kept() -> None:
    first = statements_for(sqlite.dialect(), "tenant")
    for number in range(100):
        statements_for(sqlite.dialect(), f"tenant {number}")
    assert statements_for(sqlite.dialect(), "tenant 99") is statements_for(sqlite.dialect(), "tenant 99")
    assert statements_for(sqlite.dialect(), "tenant") is not first
