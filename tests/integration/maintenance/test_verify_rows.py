"""A verification finds what reads can't: hidden and incomplete checkpoints, and rows without a checksum."""

from __future__ import annotations

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import CheckpointCorrupt
from tests.support.build import config, put
from tests.support.checked_rows import VALUES, fill, run


async def test_a_checkpoint_that_was_hidden_by_accident_is_reported(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await fill(saver)
        run(saver, "UPDATE ckpt_checkpoint SET hidden = NOT hidden")
        assert len((await saver.averify()).corrupt) == 2


async def test_a_lost_value_is_noticed(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await fill(saver)
        run(saver, "DELETE FROM ckpt_channel WHERE channel = 'short'")
        with pytest.raises(CheckpointCorrupt, match="1 of the 2 stored values of its channels are left"):
            await saver.aget_tuple(config("t"))
        report = await saver.averify()
        assert not report.ok
        assert [key.thread_id for key in report.incomplete_checkpoints] == ["t", "t"]


async def test_a_lost_value_is_noticed_although_another_thread_has_the_same_version(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await fill(saver)
        await saver.acopy_thread("t", "u")
        run(saver, "DELETE FROM ckpt_channel WHERE channel = 'short' AND thread_id = 't'")
        assert [key.thread_id for key in (await saver.averify()).incomplete_checkpoints] == ["t", "t"]


async def test_rows_from_before_are_read_and_counted(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
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


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM ckpt_checkpoint WHERE parent_checkpoint_id IS NULL",
        "UPDATE ckpt_checkpoint SET hidden = NOT hidden WHERE parent_checkpoint_id IS NULL",
        "UPDATE ckpt_checkpoint SET thread_id = 'v' WHERE thread_id = 't' AND parent_checkpoint_id IS NULL",
        "DELETE FROM ckpt_thread WHERE thread_id = 't'",
        "UPDATE ckpt_thread SET checkpoint_count = 3 WHERE thread_id = 't'",
    ],
    ids=["deleted", "hidden", "moved", "no thread", "miscounted"],
)
async def test_a_thread_with_other_checkpoints_than_it_counts_is_reported(lasting_url: str, statement: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await fill(saver)
        await fill(saver, "other")
        if "SET thread_id" in statement and saver.store.runner.abilities.database.shards:
            pytest.skip("Citus lets no row change its thread")
        run(saver, statement.replace(" IS NULL", " IS NULL AND thread_id = 't'"))
        report = await saver.averify()
        assert (report.wrong_counts[0], report.ok) == ("t", False)
        assert "other" not in report.wrong_counts


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_cells_of_another_type_are_counted_by_column(saver: SQLAlchemySaver) -> None:
    await fill(saver)
    run(saver, "UPDATE ckpt_thread SET size = 'much'")
    run(saver, "UPDATE ckpt_checkpoint SET created_at = x'00'")
    assert (await saver.averify()).database_faults == [
        "2 cells of ckpt_checkpoint.created_at have another type than their column",
        "1 cells of ckpt_thread.size have another type than their column",
    ]
