"""Migrations: they equal the models, go both ways, and a database that does not fit is refused with words that help."""

from __future__ import annotations

import logging.config
import multiprocessing
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, nullcontext
from pathlib import Path

import psycopg
import pytest
from alembic.config import main as command_line
from click.testing import CliRunner

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.db import schema
from ckptstore.db.connection import Db
from ckptstore.db.open import open_database
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.tag_tables import names_in
from ckptstore.db.url import parse_database_url
from ckptstore.tags.encoding import postings
from tests.support.build import chain, config, put
from tests.support.copied_schema import migrated_once
from tests.support.databases import table_names
from tests.support.forks import fork
from tests.support.programs import set_up
from tests.support.revisions import CHECKOUT, offline_sql, run_alembic


def alembic(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CKPTSTORE_DATABASE_URL": url}
    command = [sys.executable, "-m", "alembic", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)


def test_the_command_line_of_alembic_upgrades_checks_and_downgrades(bare_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    monkeypatch.setenv("CKPTSTORE_DATABASE_URL", bare_url)
    # In this process, whose logging stays pytest's: the next tests start processes, and so many would take half a minute.
    monkeypatch.setattr(logging.config, "fileConfig", lambda *_, **__: None)
    for arguments in (["upgrade", "head"], ["check"], ["downgrade", "base"], ["upgrade", "head"], ["check"]):
        command_line(arguments)  # exits where a command fails; a check fails where models and tables differ
        if arguments == ["downgrade", "base"]:
            assert table_names(bare_url) == {"ckpt_alembic_version"}
    # Tags are a view of other tables.
    assert table_names(bare_url) == {*names_in(on_sqlite="postgresql" not in bare_url, numbers_tags=True), "ckpt_alembic_version"}


def test_the_schema_that_other_tests_copy_is_what_the_migrations_make(tmp_path: Path) -> None:
    migrated, copied = tmp_path / "migrated.sqlite", tmp_path / "copied.sqlite"
    for path in (migrated, copied):
        with migrated_once() if path is copied else nullcontext(), SQLAlchemySaver.from_conn_string(path) as saver:
            saver.setup().result()
    with closing(sqlite3.connect(migrated)) as one, closing(sqlite3.connect(copied)) as other:
        assert "\n".join(one.iterdump()) == "\n".join(other.iterdump())
        for setting in ("auto_vacuum", "page_size", "journal_mode", "user_version", "application_id"):
            assert one.execute(f"PRAGMA {setting}").fetchone() == other.execute(f"PRAGMA {setting}").fetchone()


@pytest.mark.starts_processes
def test_alembic_takes_the_url_as_an_argument_and_reports_a_missing_one(tmp_path: Path) -> None:
    done = alembic("", "-x", f"url={tmp_path / 'x.sqlite'}", "upgrade", "head")
    assert done.returncode == 0, done.stderr
    done = alembic("", "upgrade", "head")
    assert done.returncode != 0
    assert "set CKPTSTORE_DATABASE_URL" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_offline_sql_for_postgres_builds_the_same_schema(postgres_url: str) -> None:
    sql = offline_sql("offline")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql)
        names = {row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'offline'")}
        connection.execute("DROP SCHEMA offline CASCADE")
    assert names == {*names_in(on_sqlite=False, numbers_tags=True), "ckpt_alembic_version"}


def test_processes_that_set_up_at_once_all_succeed(bare_url: str) -> None:
    barrier = multiprocessing.get_context("forkserver").Barrier(4)
    forked = [fork(set_up, bare_url, barrier) for _ in range(4)]
    assert [each.everything() for each in forked] == [[]] * 4
    assert [each.process.exitcode for each in forked] == [0] * 4


async def test_a_schema_for_each_tenant(postgres_url: str) -> None:
    names = [f'tenant "{n}"' for n in range(2)]
    for driver in ("asyncpg", "psycopg"):
        url = postgres_url.replace("postgresql:", f"postgresql+{driver}:")
        for name in names:
            async with SQLAlchemySaver.from_conn_string(url, schema=name) as saver:
                await saver.setup()
                await chain(saver, f"{driver} in {name}", 3)
                await saver.acopy_thread(f"{driver} in {name}", "copy")
                await saver.aprune(["copy"])
                assert len(await saver.alist(None, filter={"step": 1})) == 1 if driver == "asyncpg" else 2
                await saver.adelete_thread("copy")
    for name in names:
        async with SQLAlchemySaver.from_conn_string(postgres_url, schema=name) as saver:
            threads = {c.config["configurable"]["thread_id"] for c in await saver.alist(None)}
            assert threads == {f"{driver} in {name}" for driver in ("asyncpg", "psycopg")}
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for name in names:
            quoted = name.replace('"', '""')
            connection.execute(f'DROP SCHEMA "{quoted}" CASCADE')


def test_setting_up_in_plain_code_is_done_when_it_returns(bare_url: str) -> None:
    with SQLAlchemySaver.from_conn_string(bare_url) as saver:
        saver.setup()
        assert saver.get_tuple(config("t")) is None


def test_changes_of_the_schema_are_logged(bare_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "ckptstore.db.schema_events")
    database = open_database(parse_database_url(bare_url), DatabaseSettings())
    try:
        for work in (schema.upgrade, schema.upgrade, lambda db: schema.downgrade(db, "0003"), schema.upgrade_if_needed):
            database.write(work).result()
    finally:
        database.close()
    events = [vars(record) for record in caplog.records if record.name == "ckptstore.db.schema_events"]
    assert [(each["levelname"], each["event"], each["before"], each.get("wanted", each.get("after"))) for each in events] == [
        ("DEBUG", "schema_change_started", None, schema.HEAD),
        ("DEBUG", "schema_changed", None, schema.HEAD),
        ("INFO", "schema_change_started", schema.HEAD, "0003"),
        ("INFO", "schema_changed", schema.HEAD, "0003"),
        ("INFO", "schema_change_started", "0003", schema.HEAD),
        ("INFO", "schema_changed", "0003", schema.HEAD),
    ]


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_running_needs_no_right_to_change_the_schema(postgres_url: str, driver: str) -> None:
    tables = ", ".join(names_in(on_sqlite=False, numbers_tags=True))
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS worker")
        owner.execute("CREATE ROLE worker LOGIN")
        owner.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO worker")
        owner.execute("GRANT SELECT ON ckpt_alembic_version TO worker")
        url = postgres_url.replace("postgresql://postgres", f"postgresql+{driver}://worker")
        async with SQLAlchemySaver.from_conn_string(url) as saver:
            configs = await chain(saver, "worker", 3, run_id="r")
            await saver.aput_writes(configs[-1], [("x", 1)], "task")
            await saver.acopy_thread("worker", "worker copy")
            await saver.aprune(["worker copy"])
            await saver.adelete_for_runs(["r"])
            await saver.adelete_thread("worker")
            assert await saver.alist(config("worker")) == []
        owner.execute("DROP OWNED BY worker")
        owner.execute("DROP ROLE worker")


OLD_CHECKPOINT = (
    "INSERT INTO ckpt_checkpoint (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, created_at, format, type, body,"
    " channel_versions, metadata, size, support) VALUES ('t', '', '1ef', NULL, 1, 4, 'msgpack', {body}, '{{\"n\": \"0001\"}}',"
    ' \'{{"step": 3, "user": {{"name": "ann"}}}}\', 1, {no})'
)
OLD_CHANNEL = (
    "INSERT INTO ckpt_channel (thread_id, checkpoint_ns, channel, version, type, size, value, segments)"
    " VALUES ('t', '', 'n', '0001', 'msgpack', 1, {seven}, NULL)"
)


def fill_old(db: Db, revision: str) -> None:
    """What a release at this revision stored: one checkpoint with one value, and its tags."""
    body, seven = (f"X'{data}'" if db.on_sqlite else f"decode('{data}', 'hex')" for data in ("80", "07"))
    db.execute("INSERT INTO ckpt_thread (thread_id, created_at, updated_at, generation) VALUES ('t', 1, 1, 0)")
    checkpoint, channel = OLD_CHECKPOINT, OLD_CHANNEL
    if revision == "0003":
        db.execute("UPDATE ckpt_thread SET checkpoints = 1, size = 1")
    if revision >= "0004":
        db.execute("UPDATE ckpt_thread SET checkpoint_count = 1, size = 1")
        checkpoint, channel = checkpoint.replace("support", "hidden"), channel.replace("segments", "layout")
    db.execute(checkpoint.format(body=body, no="0" if db.on_sqlite else "false"))
    db.execute(channel.format(seven=seven))
    if revision >= "0003":
        tags = [(posting.key, posting.value) for posting in postings({"step": 3, "user": {"name": "ann"}})]
    else:
        # Tags are made again on the way from these.
        tags = [("step", "old encoding")]
    for key, value in tags:
        row = f"'{key}', '{value}', '1ef', 't', ''"
        db.execute(f"INSERT INTO ckpt_tag (key, value, checkpoint_id, thread_id, checkpoint_ns) VALUES ({row})")


@pytest.mark.parametrize("revision", schema.REVISIONS[:-1])
async def test_what_an_earlier_revision_stored_is_read_after_the_upgrade(bare_url: str, revision: str) -> None:
    run_alembic(bare_url, "upgrade", revision)
    database = open_database(parse_database_url(bare_url), DatabaseSettings())
    database.write(lambda db: fill_old(db, revision)).result()
    database.close()
    # There, and back one revision and there again.
    for commands in ([("upgrade", "head")], [("downgrade", "-1"), ("upgrade", "head")]):
        for arguments in commands:
            run_alembic(bare_url, *arguments)
        async with SQLAlchemySaver.from_conn_string(bare_url) as saver:
            for wanted in ({"step": 3}, {"user": {"name": "ann"}}):
                (found,) = await saver.alist(None, filter=wanted)
                assert found.checkpoint["channel_values"] == {"n": 7}
            (thread,) = await saver.alist_threads()
            assert (thread.thread_id, thread.checkpoints) == ("t", 1)
    run_alembic(bare_url, "check")
    async with SQLAlchemySaver.from_conn_string(bare_url) as saver:
        await put(saver, config("t"), {"text": "long " * 1_000})
        await saver.adelete_thread("t")
        assert saver.store.runner.read(lambda db: db.execute("SELECT count(*) FROM ckpt_tag").scalar_one()).result() == 0


async def test_going_back_never_loses_values(bare_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(bare_url) as saver:
        await saver.setup()
        await put(saver, config("t"), {"text": "long " * 1_000})
    done = CliRunner().invoke(main, ["downgrade", "--url", bare_url, "0001"])
    assert done.exit_code == 1
    assert "segments" in done.output
    async with SQLAlchemySaver.from_conn_string(bare_url) as saver:
        assert await saver.aget_tuple(config("t")) is not None
        await saver.adelete_thread("t")
    assert CliRunner().invoke(main, ["downgrade", "--url", bare_url, "0001"]).exit_code == 0
