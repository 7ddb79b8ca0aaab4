"""Upkeep of a large thread is done in pieces: no transaction has many rows, and others write between them."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore import RetentionPolicy, SQLAlchemySaver
from ckptstore.db.connection import Db
from ckptstore.db.turns import LockTurns
from ckptstore.maintenance import copy, delete, gc, gc_pass, prune_plan, prune_thread, thread_rows
from ckptstore.runtime.wakeups import settled
from tests.support.build import chain, checkpoint, config, metadata, put
from tests.support.large_thread import CHECKPOINTS, fill, on_both, on_sqlite, transactions
from tests.support.rows import Rows, expect_tags_of, rows

#: What one transaction changes at most: 50 checkpoints with all that belongs to them, or a sweep of writes and segments.
MOST_ROWS = 1_100

UPKEEP: dict[str, Callable[[SQLAlchemySaver], Any]] = {
    "delete": lambda saver: saver.adelete_thread("large"),
    "prune": lambda saver: saver.aprune(["large"]),
    "policy": lambda saver: saver.aprune_by(RetentionPolicy(keep_last=1)),
    "runs": lambda saver: saver.adelete_for_runs(["run 1"]),
    "tags": lambda saver: saver.arebuild_tags(),
    "copy": lambda saver: saver.acopy_thread("large", "copy"),
}


@on_both
@pytest.mark.parametrize("name", UPKEEP)
async def test_no_transaction_has_many_rows(saver: SQLAlchemySaver, name: str) -> None:
    await fill(saver)
    with transactions() as changed:
        await UPKEEP[name](saver)
    assert len(changed) >= 2
    assert max(changed) <= MOST_ROWS
    # The write that has no checkpoint stays, except when all goes.
    assert Rows.of(saver).orphans().get("ckpt_write", set()) <= {("large", "", "never"), ("copy", "", "never")}
    await expect_tags_of(saver)


async def _fill_with_tags_and_bytes(saver: SQLAlchemySaver) -> None:
    where = config("large")
    for step in range(30):
        made = checkpoint({"value": os.urandom(4_000)}, {"value": f"{step:05}"})
        tags = {f"tag {number}": step for number in range(40)}
        where = await saver.aput(where, made, metadata(step, run_id="run 1", **tags), made["channel_versions"])


@on_both
@pytest.mark.parametrize("name", UPKEEP)
async def test_no_transaction_has_many_tags_or_bytes(saver: SQLAlchemySaver, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few checkpoints may have tens of thousands of tags, and few segments many MiB."""
    for module in (prune_plan, thread_rows):
        monkeypatch.setattr(module, "MAX_METADATA_CHARACTERS", 2_000)
    for bounded in (copy, delete):
        monkeypatch.setattr(bounded, "_METADATA_AT_ONCE", 4_000)
    monkeypatch.setattr(prune_thread, "_BYTES_PER_SWEEP", 20_000)
    await _fill_with_tags_and_bytes(saver)
    with transactions() as changed:
        await UPKEEP[name](saver)
    assert len(changed) >= 5
    # Three or four checkpoints with their tags, which a rebuild deletes and inserts, and six to eight that a copy shows.
    assert max(changed) <= 400
    assert Rows.of(saver).orphans() == {}
    await expect_tags_of(saver)


@on_sqlite
@pytest.mark.parametrize("name", UPKEEP)
async def test_others_write_between_the_pieces(saver: SQLAlchemySaver, name: str) -> None:
    await fill(saver)
    loop, puts, stored_at = asyncio.get_running_loop(), list[Any](), list[bool]()
    stored = "SELECT count(*) FROM ckpt_checkpoint WHERE thread_id = 'other'"

    def begun(number: int) -> None:
        if number == 0:
            puts.append(asyncio.run_coroutine_threadsafe(put(saver, config("other"), {"n": 1}), loop))
        # Whether its future is done as well depends on how soon its loop has a turn.
        with closing(sqlite3.connect(str(saver.store.runner.url.database))) as reader:
            stored_at.append(reader.execute(stored).fetchone() == (1,))

    with transactions(begun):
        await UPKEEP[name](saver)
    assert stored_at[0] is False
    assert stored_at[-1] is True
    await asyncio.wrap_future(puts[0])


class Taken(LockTurns):
    """Counts the turns."""

    count = 0

    def pause_after(self, seconds: float) -> float:
        self.count += 1
        return super().pause_after(seconds)


def _encrypting() -> EncryptedSerializer:
    return EncryptedSerializer.from_pycryptodome_aes(key=b"sixteen bytes..!")


async def _collect_all(saver: SQLAlchemySaver) -> None:
    for number in range(41):
        await saver.blobs.put(str(number).encode())
    with mock.patch.object(gc, "PAGE_SIZE", 20), mock.patch.object(gc_pass, "PAGE_SIZE", 20):
        for _ in range(2):
            await saver.acollect(grace=timedelta(0))


# Each by another saver than the one that fills the file: as if by another process, whose waiting nobody sees.
ASIDE: dict[str, tuple[Callable[[], Any], Callable[[SQLAlchemySaver], Any]]] = {
    **{name: (lambda: None, run) for name, run in UPKEEP.items()},
    "reencrypt": (_encrypting, lambda saver: saver.areencrypt(JsonPlusSerializer())),
    "collect": (lambda: None, _collect_all),
    "vacuum": (lambda: None, lambda saver: saver.avacuum()),
}


@on_sqlite
@pytest.mark.parametrize("name", ASIDE)
async def test_each_piece_is_followed_by_a_turn(saver: SQLAlchemySaver, url: str, name: str) -> None:
    """Of a file, whoever waits for its lock may be another process."""
    await fill(saver)
    serde, run = ASIDE[name]
    if name == "vacuum":
        await saver.adelete_thread("large")
    async with SQLAlchemySaver.from_conn_string(url, serde=serde()) as other:
        turns = other.store.objects.turns = Taken(other.store.runner.url)
        with transactions() as changed:
            await run(other)
    # Three pages are marked, and then deleted by two statements each; uploads are not upkeep. Of the others, what begins and ends them.
    assert turns.count >= (9 if name == "collect" else max(1, len(changed) - 2))


@on_both
async def test_a_large_thread_is_deleted_whole_and_what_is_put_afterwards_stays(saver: SQLAlchemySaver) -> None:
    await fill(saver)
    await chain(saver, "small", 2)
    before = {name: number for name, number in rows(saver).items() if name != "ckpt_setting"}
    made = checkpoint({"n": 1}, {"n": "1"})
    new = config("large", checkpoint_ns="")
    await asyncio.gather(saver.adelete_thread("large"), saver.aput(new, made, metadata(), {"n": "1"}), chain(saver, "other", 3))
    (left,) = await saver.alist(config("large"))
    assert left.checkpoint["id"] == made["id"]
    await saver.adelete_thread("large")
    assert await saver.alist(config("large")) == []
    assert {thread.thread_id for thread in await saver.alist_threads()} == {"small", "other"}
    assert Rows.of(saver).orphans() == {}
    assert rows(saver)["ckpt_checkpoint"] == 5 < before["ckpt_checkpoint"]
    await expect_tags_of(saver)


@on_both
async def test_a_deletion_that_failed_midway_leaves_whole_checkpoints_and_is_finished_by_the_next(saver: SQLAlchemySaver) -> None:
    await fill(saver)
    listed = await saver.alist(config("large"))

    def fail_midway(number: int) -> None:
        if number == 3:
            raise ValueError("the process is gone")

    with transactions(fail_midway), pytest.raises(ValueError, match="gone"):
        await saver.adelete_thread("large")
    left = await saver.alist(config("large"))
    assert 0 < len(left) < CHECKPOINTS
    assert [found._replace(parent_config=None) for found in left] == [found._replace(parent_config=None) for found in listed[: len(left)]]
    await saver.adelete_thread("large")
    assert rows(saver) == {}


@on_both
async def test_a_deletion_that_failed_midway_is_finished_by_a_prune_of_any_policy(saver: SQLAlchemySaver) -> None:
    await fill(saver)

    def fail_midway(number: int) -> None:
        if number == 2:
            raise ValueError("the process is gone")

    with transactions(fail_midway), pytest.raises(ValueError, match="gone"):
        await saver.adelete_thread("large")
    later = await put(saver, config("large"), {"n": 1})
    policy = RetentionPolicy(keep_last=10 * CHECKPOINTS)
    await saver.aprune_by(policy, dry_run=True)
    assert len(await saver.alist(config("large"))) > 1
    assert (await saver.aprune_by(policy)).checkpoints == 0
    assert [found.config for found in await saver.alist(config("large"))] == [later]
    assert rows(saver) == {"ckpt_thread": 1, "ckpt_checkpoint": 1, "ckpt_tag": 2}
    # The deletion is over: what is put under an id of its checkpoints stays.
    assert (await saver.aprune_by(policy)).checkpoints == 0
    assert [found.config for found in await saver.alist(config("large"))] == [later]


@on_both
async def test_what_computes_for_long_lets_others_write(saver: SQLAlchemySaver) -> None:
    began, may_end = threading.Event(), threading.Event()

    def compute(db: Db) -> bool:
        def wait() -> bool:
            began.set()
            return may_end.wait(50)

        return db.compute(10_000, wait)

    computed = saver.store.runner.read(compute)
    await asyncio.to_thread(began.wait, 50)
    await put(saver, config("other"), {"n": 1})
    may_end.set()
    assert await settled(computed)
