"""Upkeep of a large thread is done in pieces: no transaction has many rows, and others write between them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from ckptstore import RetentionPolicy, SQLAlchemySaver
from ckptstore.db.connection import Db
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


@on_sqlite
@pytest.mark.parametrize("name", UPKEEP)
async def test_others_write_between_the_pieces(saver: SQLAlchemySaver, name: str) -> None:
    await fill(saver)
    loop, puts, done_at = asyncio.get_running_loop(), list[Any](), list[bool]()

    def begun(number: int) -> None:
        if number == 0:
            puts.append(asyncio.run_coroutine_threadsafe(put(saver, config("other"), {"n": 1}), loop))
        done_at.append(puts[0].done())

    with transactions(begun):
        await UPKEEP[name](saver)
    assert done_at[0] is False
    assert done_at[-1] is True


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
