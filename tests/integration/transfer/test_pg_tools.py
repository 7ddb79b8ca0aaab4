"""pg_dump and pg_restore: which are used, and what is said where they can't be."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url

from ckptstore import SQLAlchemySaver
from ckptstore.errors import DatabaseUnavailable, InvalidConfig
from ckptstore.transfer.pg_dump_rows import dumped_rows
from ckptstore.transfer.pg_tools import PgTools, Server, _address, dump_tables, dumped_text, find_tools, server_of, tools_for
from tests.support.build import config, put
from tests.support.databases import empty_tables
from tests.support.pg_programs import FITTING, OLDER


def fitting() -> PgTools:
    found = find_tools(FITTING)
    assert found is not None
    return found


def test_what_is_installed(tmp_path: Path) -> None:
    assert fitting().major == 18
    assert find_tools(str(tmp_path)) is None
    with pytest.raises(InvalidConfig, match=r"not in /nowhere: install postgresql-client-18, name its folder .*--format sqlite"):
        tools_for(Server(18, "public"), "/nowhere")
    with pytest.raises(InvalidConfig, match="pg_dump is of release 16, and dumps no server of release 18: install postgresql-client-18"):
        tools_for(Server(18, "public"), OLDER)
    assert tools_for(Server(16, "public"), FITTING) == fitting()


def test_the_server(postgres_url: str) -> None:
    with SQLAlchemySaver.from_conn_string(postgres_url) as saver:
        assert saver.store.runner.read(server_of).result() == Server(18, "public")


def test_no_secret_is_an_argument() -> None:
    url = make_url("postgresql+asyncpg://ann:hidden@host/db?ssl=require&host=other&prepared_statement_cache_size=0&sslpassword=hidden2")
    assert _address(url) == "postgresql://ann@host/db?host=other&sslmode=require"


def test_what_the_programs_say_is_said(tmp_path: Path) -> None:
    # Nobody listens there.
    with pytest.raises(DatabaseUnavailable, match=r"pg_dump failed: .*connection") as failed:
        dump_tables(fitting(), make_url("postgresql://ann:hidden@127.0.0.1:1/db"), "public", tmp_path / "dump")
    assert "hidden" not in str(failed.value)
    (tmp_path / "dump").write_bytes(b"no dump" * 100)
    with pytest.raises(InvalidConfig, match="pg_restore 18 can't read the dump: "), dumped_text(fitting(), tmp_path / "dump") as text:
        text.read()


async def test_the_rows_of_partitions_are_those_of_their_table(partitioned_url: str, tmp_path: Path) -> None:
    empty_tables(partitioned_url)
    async with SQLAlchemySaver.from_conn_string(partitioned_url) as saver:
        for number in range(8):
            await put(saver, config(f"thread-{number}"), {"n": "x" * 100})
    dump_tables(fitting(), make_url(partitioned_url), "public", tmp_path / "dump")
    with dumped_text(fitting(), tmp_path / "dump", "ckpt_thread") as text:
        tables = [(each.table, sorted(str(row[0]) for row in each.rows)) for each in dumped_rows(text)]
    assert {table for table, _ in tables} == {"ckpt_thread"}
    assert sorted(thread for _, threads in tables for thread in threads) == [f"thread-{number}" for number in range(8)]
