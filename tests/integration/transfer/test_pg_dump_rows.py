"""The rows of a dump become a SQLite file, to the byte."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import psycopg
import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db import schema as db_schema
from ckptstore.errors import DatabaseCorrupt, SchemaTooNew
from ckptstore.transfer.pg_dump_rows import dumped_rows, make_sqlite_file
from ckptstore.transfer.pg_tools import dump_tables
from tests.integration.transfer.test_pg_tools import fitting
from tests.support.build import checkpoint, config, metadata
from tests.support.databases import empty_tables
from tests.support.transfers import contents, fill, rows_of, schema

TEXT = rb"""-- a comment
SET client_encoding = 'UTF8';
COPY "odd name".ckpt_x (thread_id, "value", data) FROM stdin;
a\tb	\N	\\x0aff
\\N	line\nfeed\\	\N
\.

COPY public.ckpt_y (name) FROM stdin;
\.
COPY public.other (name) FROM stdin;
not ours
\.
"""


def test_the_text_of_copy() -> None:
    found = [(each.table, each.columns, list(each.rows)) for each in dumped_rows(io.BytesIO(TEXT))]
    rows = [["a\tb", None, "\\x0aff"], ["\\N", "line\nfeed\\", None]]
    assert found == [("ckpt_x", ["thread_id", "value", "data"], rows), ("ckpt_y", ["name"], [])]


@pytest.mark.parametrize("partitioned", [False, True])
def test_every_row_comes_back(postgres_url: str, partitioned_url: str, tmp_path: Path, partitioned: bool) -> None:
    url = partitioned_url if partitioned else postgres_url
    empty_tables(url)
    with SQLAlchemySaver.from_conn_string(url) as saver:
        fill(saver)
        odd = "tab\t newline\n backslash\\ \\N \\. quote' \x7f ünï \U0001f600"
        made = checkpoint({odd: odd, "b": bytes(range(256))}, {odd: "1", "b": "1"})
        saver.put(config(odd), made, metadata(0, note=odd), made["channel_versions"])
        dump_tables(fitting(), saver.store.runner.url, "public", tmp_path / "dump")
        make_sqlite_file(fitting(), tmp_path / "dump", tmp_path / "made.sqlite")
        with SQLAlchemySaver.from_conn_string(tmp_path / "made.sqlite") as again:
            assert rows_of(again) == rows_of(saver)
            assert contents(again) == contents(saver)
            assert again.verify(deep=True).ok


def test_a_schema_with_an_odd_name(postgres_url: str, tmp_path: Path) -> None:
    with schema(postgres_url, 'odd "name'), SQLAlchemySaver.from_conn_string(postgres_url, schema='odd "name') as saver:
        fill(saver, 1)
        dump_tables(fitting(), saver.store.runner.url, 'odd "name', tmp_path / "dump")
        make_sqlite_file(fitting(), tmp_path / "dump", tmp_path / "made.sqlite")
        with SQLAlchemySaver.from_conn_string(tmp_path / "made.sqlite") as again:
            assert contents(again) == contents(saver)


def test_a_dump_of_something_else(postgres_url: str, tmp_path: Path) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA elsewhere CREATE TABLE other (n integer)")
        try:
            arguments = [fitting().dump, "--format=custom", "--schema=elsewhere", f"--file={tmp_path / 'dump'}", postgres_url]
            subprocess.run(arguments, check=True)
        finally:
            connection.execute("DROP SCHEMA elsewhere CASCADE")
    with pytest.raises(DatabaseCorrupt, match="no store of ckptstore in it"):
        make_sqlite_file(fitting(), tmp_path / "dump", tmp_path / "made.sqlite")


def test_a_dump_of_a_newer_release(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SQLAlchemySaver.from_conn_string(postgres_url) as saver:
        saver.setup()
        dump_tables(fitting(), saver.store.runner.url, "public", tmp_path / "dump")
    monkeypatch.setattr(db_schema, "REVISIONS", ("0001",))
    with pytest.raises(SchemaTooNew, match="pip install --upgrade ckptstore"):
        make_sqlite_file(fitting(), tmp_path / "dump", tmp_path / "made.sqlite")
    assert not (tmp_path / "made.sqlite").exists()
