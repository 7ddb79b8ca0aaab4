"""Metadata that somebody else altered: what needs it names the checkpoint, the rest goes on, and the thread can be deleted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from ckptstore import RetentionPolicy, SQLAlchemySaver
from ckptstore.errors import CheckpointCorrupt
from tests.support.build import chain, config
from tests.support.checked_rows import run
from tests.support.large_thread import fill
from tests.support.rows import rows

on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
ALTERED = ["{", "[1]", '{"parents": 5, "counters_since_delta_snapshot": 1', "nothing"]


@on_sqlite
@pytest.mark.parametrize("metadata", ALTERED)
async def test_what_needs_the_metadata_names_its_checkpoint(saver: SQLAlchemySaver, metadata: str) -> None:
    await chain(saver, "t", 3, run_id="r")
    run(saver, f"UPDATE ckpt_checkpoint SET metadata = '{metadata}'")
    operations: list[Callable[[], Any]] = [
        lambda: saver.aprune(["t"], strategy="delete"),
        saver.arebuild_tags,
        lambda: saver.aget_tuple(config("t")),
        lambda: saver.adelete_for_runs(["r"]),
    ]
    for operation in operations:
        with pytest.raises(CheckpointCorrupt, match="thread 't'"):
            await operation()
    assert not (await saver.averify()).ok
    await saver.adelete_thread("t")
    assert rows(saver).keys() <= {"ckpt_setting"}


@on_sqlite
async def test_a_large_thread_is_deleted_although_its_metadata_was_altered(saver: SQLAlchemySaver) -> None:
    await fill(saver)
    run(saver, "UPDATE ckpt_checkpoint SET metadata = '{'")
    await saver.adelete_thread("large")
    assert rows(saver) == {}


@on_sqlite
async def test_a_policy_prunes_the_other_threads(saver: SQLAlchemySaver, caplog: pytest.LogCaptureFixture) -> None:
    for thread_id in "abc":
        await chain(saver, thread_id, 3)
    run(saver, "UPDATE ckpt_checkpoint SET metadata = '{' WHERE thread_id = 'b'")
    with caplog.at_level(logging.ERROR):
        assert (await saver.aprune_by(RetentionPolicy(keep_last=1))).checkpoints == 4
    assert [record.thread_id for record in caplog.records if record.event == "thread_not_pruned"] == ["b"]  # type: ignore[attr-defined]
    assert rows(saver)["ckpt_checkpoint"] == 5


@on_sqlite
@pytest.mark.parametrize("parents", [5, "x", [1], {"": 7}, None])
async def test_any_metadata_of_a_caller_under_langgraphs_names_can_be_pruned(saver: SQLAlchemySaver, parents: object) -> None:
    await chain(saver, "t", 3, parents=parents, counters_since_delta_snapshot=parents)
    await saver.aprune(["t"])
    assert rows(saver)["ckpt_checkpoint"] == 1
