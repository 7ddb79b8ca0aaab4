"""The functions that migrations create on PostgreSQL: which revision has which, in the schema of the tables, online and offline."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.support.databases import new_database
from tests.support.revisions import offline_sql, run_alembic

FUNCTIONS = ("ckpt_commit_batch_1", "ckpt_commit_held_1")


@pytest.fixture(params=["asyncpg", "psycopg"])
def server_url(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[str]:
    """A database without a schema, on PostgreSQL."""
    with new_database(postgres_url, request.param) as url:
        yield url


def functions(url: str) -> list[tuple[str, str]]:
    """The schema and the name of each of our functions."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        found = connection.execute(
            "SELECT nspname, proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace WHERE proname LIKE 'ckpt%' ORDER BY proname"
        )
        return found.fetchall()


def test_each_revision_has_its_functions(server_url: str) -> None:
    expected = {"0005": 0, "0006": 1, "0008": 1, "0009": 2, "0008 again": 1, "0005 again": 0, "head": 2}
    for step, count in expected.items():
        revision, _, again = step.partition(" ")
        run_alembic(server_url, "downgrade" if again else "upgrade", revision)
        assert functions(server_url) == [("public", name) for name in FUNCTIONS[:count]], step


def test_offline_they_are_created_in_the_schema_of_the_tables() -> None:
    printed = offline_sql("tenant")
    for name in FUNCTIONS:
        (create,) = [part for part in printed.split("DO $do$ BEGIN")[1:] if f"CREATE OR REPLACE FUNCTION %1$I.{name}(" in part]
        assert "oid = 'ckpt_thread'::regclass" in create.partition("$sql$, ")[2]
