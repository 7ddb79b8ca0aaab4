"""Rows that something else than ckptstore altered: no read uses them, and a verification names them."""

from __future__ import annotations

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import CheckpointCorrupt
from tests.support.build import config
from tests.support.checked_rows import fill, run

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


def some_bytes(lasting_url: str) -> str:
    return "X'93010203'" if "postgresql" not in lasting_url else "'\\x93010203'::bytea"


async def test_every_altered_column_is_noticed_and_named(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        for number, (table, column, wrong) in enumerate(FLIPS):
            thread = f"t{number}"
            await fill(saver, thread)
            (newest,) = run(saver, f"SELECT max(checkpoint_id) FROM ckpt_checkpoint WHERE thread_id = '{thread}'")
            where = f"thread_id = '{thread}'" + (f" AND checkpoint_id = '{newest[0]}'" if table == "ckpt_checkpoint" else "")
            run(saver, f"UPDATE {table} SET {column} = {wrong.replace('{bytes}', some_bytes(lasting_url))} WHERE {where}")
            with pytest.raises(CheckpointCorrupt, match=thread):
                await saver.aget_tuple(config(thread))
            with pytest.raises(CheckpointCorrupt, match=thread):
                await saver.alist(config(thread))
            report = await saver.averify()
            assert not report.ok
            assert any(repr(thread) in each for each in report.corrupt), (table, column)
            await saver.adelete_thread(thread)
        assert (await saver.averify(deep=True)).ok


async def test_an_altered_value_is_named_with_its_checkpoint_and_channel(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await fill(saver)
        run(saver, "UPDATE ckpt_channel SET type = 'json' WHERE channel = 'short'")
        (newest,) = run(saver, "SELECT max(checkpoint_id) FROM ckpt_checkpoint")
        with pytest.raises(CheckpointCorrupt, match=rf"channel 'short' of thread 't'.*checkpoint '{newest[0]}'.*restore it from a backup"):
            await saver.aget_tuple(config("t"))


async def test_a_row_that_moved_to_another_thread_is_not_read_there(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await fill(saver, "t")
        await fill(saver, "v")
        if saver.store.runner.abilities.database.shards:
            pytest.skip("Citus lets no row change its thread")
        run(saver, "UPDATE ckpt_checkpoint SET thread_id = 'v' WHERE thread_id = 't'")
        with pytest.raises(CheckpointCorrupt):
            await saver.alist(config("v"))
        assert len((await saver.averify()).corrupt) == 2


async def test_a_copy_has_checksums_of_its_own(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
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
