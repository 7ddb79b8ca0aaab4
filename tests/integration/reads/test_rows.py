"""Rows that something else than ckptstore altered: no read uses them, and a verification names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db.connection import Db
from ckptstore.errors import CheckpointCorrupt
from tests.support.build import checkpoint, config, metadata, put
from tests.support.databases import url_of

# The first is kept in its row, compressed; the second in segments; the third is in the body.
VALUES = {"short": ["a word, and another"] * 8, "messages": [f"{number} " * 50 for number in range(100)], "n": 3}
OTHER_JSON = '\'{"short": "x"}\''

#: Table, column and what it is set to; {bytes} stands for some bytes.
FLIPS = [
    ("ckpt_checkpoint", "type", "'json'"),
    ("ckpt_checkpoint", "body", "{bytes}"),
    ("ckpt_checkpoint", "parent_checkpoint_id", "'0'"),
    ("ckpt_checkpoint", "format", "5"),
    ("ckpt_checkpoint", "channel_versions", OTHER_JSON),
    ("ckpt_checkpoint", "metadata", "'{\"step\": 7}'"),
    ("ckpt_checkpoint", "checkpoint_id", "'2' || checkpoint_id"),
    ("ckpt_checkpoint", "value_count", "1"),
    ("ckpt_checkpoint", "checksum", "checksum + 1"),
    ("ckpt_channel", "type", "'json'"),
    ("ckpt_channel", "value", "{bytes}"),
    ("ckpt_channel", "size", "size + 1"),
    ("ckpt_channel", "layout", "'[3]'"),
    ("ckpt_channel", "checksum", "checksum + 1"),
    ("ckpt_write", "type", "'json'"),
    ("ckpt_write", "value", "{bytes}"),
    ("ckpt_write", "size", "size + 1"),
    ("ckpt_write", "layout", "'[3]'"),
    ("ckpt_write", "channel", "'m' || channel"),
    ("ckpt_write", "task_path", "'x'"),
    ("ckpt_write", "task_id", "'x' || task_id"),
    ("ckpt_write", "idx", "idx + 8"),
    ("ckpt_write", "checksum", "checksum + 1"),
]


@pytest.fixture(params=["sqlite", "asyncpg", "psycopg"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


def run(saver: SQLAlchemySaver, statement: str) -> list[tuple[Any, ...]]:
    def work(db: Db) -> list[tuple[Any, ...]]:
        result = db.connection.exec_driver_sql(statement)
        return [tuple(row) for row in result] if result.returns_rows else []

    return saver.store.runner.write(work).result()


def some_bytes(url: str) -> str:
    return "X'93010203'" if "postgresql" not in url else "'\\x93010203'::bytea"


async def fill(saver: SQLAlchemySaver, thread_id: str = "t") -> None:
    first = await put(saver, config(thread_id), VALUES)
    made = checkpoint(VALUES)
    where = await saver.aput(first, made, metadata(1), {})
    await saver.aput_writes(where, [("short", ["written"] * 20), ("n", 4)], "task")


async def test_every_altered_column_is_noticed_and_named(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        for number, (table, column, wrong) in enumerate(FLIPS):
            thread = f"t{number}"
            await fill(saver, thread)
            (newest,) = run(saver, f"SELECT max(checkpoint_id) FROM ckpt_checkpoint WHERE thread_id = '{thread}'")
            where = f"thread_id = '{thread}'" + (f" AND checkpoint_id = '{newest[0]}'" if table == "ckpt_checkpoint" else "")
            run(saver, f"UPDATE {table} SET {column} = {wrong.replace('{bytes}', some_bytes(url))} WHERE {where}")
            with pytest.raises(CheckpointCorrupt, match=thread):
                await saver.aget_tuple(config(thread))
            with pytest.raises(CheckpointCorrupt, match=thread):
                await saver.alist(config(thread))
            report = await saver.averify()
            assert not report.ok
            assert any(repr(thread) in each for each in report.corrupt), (table, column)
            await saver.adelete_thread(thread)
        assert (await saver.averify(deep=True)).ok


async def test_an_altered_value_is_named_with_its_checkpoint_and_channel(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await fill(saver)
        run(saver, "UPDATE ckpt_channel SET type = 'json' WHERE channel = 'short'")
        (newest,) = run(saver, "SELECT max(checkpoint_id) FROM ckpt_checkpoint")
        with pytest.raises(CheckpointCorrupt, match=rf"channel 'short' of thread 't'.*checkpoint '{newest[0]}'.*restore it from a backup"):
            await saver.aget_tuple(config("t"))


async def test_a_row_that_moved_to_another_thread_is_not_read_there(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await fill(saver, "t")
        await fill(saver, "v")
        run(saver, "UPDATE ckpt_checkpoint SET thread_id = 'v' WHERE thread_id = 't'")
        with pytest.raises(CheckpointCorrupt):
            await saver.alist(config("v"))
        assert len((await saver.averify()).corrupt) == 2


async def test_a_checkpoint_that_was_hidden_by_accident_is_reported(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await fill(saver)
        run(saver, "UPDATE ckpt_checkpoint SET hidden = NOT hidden")
        assert len((await saver.averify()).corrupt) == 2


async def test_a_lost_value_is_noticed(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await fill(saver)
        run(saver, "DELETE FROM ckpt_channel WHERE channel = 'short'")
        with pytest.raises(CheckpointCorrupt, match="1 of the 2 stored values of its channels are left"):
            await saver.aget_tuple(config("t"))
        report = await saver.averify()
        assert not report.ok
        assert [key.thread_id for key in report.incomplete_checkpoints] == ["t", "t"]


async def test_a_copy_has_checksums_of_its_own(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await fill(saver)
        before = await saver.aget_tuple(config("t"))
        await saver.acopy_thread("t", "a copy of t")
        after = await saver.aget_tuple(config("a copy of t"))
        assert before is not None
        assert after is not None
        assert (after.checkpoint, after.pending_writes) == (before.checkpoint, before.pending_writes)
        report = await saver.averify(deep=True)
        assert (report.ok, report.unchecked_rows) == (True, 0)
        # Two checkpoints, two values and two writes of each thread.
        assert report.rows == 12


async def test_rows_from_before_are_read_and_counted(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await fill(saver)
        for table in ("ckpt_checkpoint", "ckpt_channel", "ckpt_write"):
            run(saver, f"UPDATE {table} SET checksum = NULL")
        run(saver, "UPDATE ckpt_checkpoint SET value_count = NULL")
        found = await saver.aget_tuple(config("t"))
        assert found is not None
        assert found.checkpoint["channel_values"] == VALUES
        await put(saver, config("new"), VALUES)
        report = await saver.averify(deep=True)
        assert (report.ok, report.rows, report.unchecked_rows) == (True, 9, 6)
        # A copy of an unchecked row is unchecked.
        await saver.acopy_thread("t", "u")
        assert (await saver.averify()).unchecked_rows == 12
        # What is stored again gets a checksum.
        await saver.aput_writes(found.config, [("n", 5)], "another task")
        assert (await saver.averify()).unchecked_rows == 12
