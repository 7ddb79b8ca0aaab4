"""A copy of a large thread: nothing of it is found before all is copied, and what dies or happens meanwhile leaves it whole or absent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import DatabaseUnavailable
from ckptstore.maintenance import copy, copy_run
from tests.support.build import chain, checkpoint, config, metadata, put
from tests.support.large_thread import CHECKPOINTS, fill, on_both, transactions
from tests.support.rows import Rows, expect_tags_of, rows


async def content(saver: SQLAlchemySaver, thread_id: str) -> list[Any]:
    """What a thread's checkpoints hold, newest first, without its id."""
    return _content(await saver.alist(config(thread_id)))


def _content(found: Sequence[Any]) -> list[Any]:
    return [(each.config["configurable"]["checkpoint_id"], each.checkpoint, each.metadata, each.pending_writes) for each in found]


def at(number: int, action: Callable[[], object]) -> Callable[[int], None]:
    """Does something once, before a transaction begins."""
    left = [action]

    def begun(begins: int) -> None:
        if begins == number and left:
            left.pop()()

    return begun


def die() -> None:
    raise ValueError("the process is gone")


async def test_a_copy_that_died_is_not_found_and_the_next_one_finishes_it(saver: SQLAlchemySaver) -> None:
    await fill(saver)
    source = await content(saver, "large")
    number, finished = 0, False
    while not finished:
        with transactions(at(number, die)) as changed:
            try:
                await saver.acopy_thread("large", "copy")
                finished = True
            except ValueError:
                assert await content(saver, "copy") == []
                assert await saver.alist(None, filter={"user": "ann"}, limit=CHECKPOINTS + 1) == await saver.alist(config("large"))
                number += 1
    assert number == len(changed) >= 4
    assert await content(saver, "copy") == source
    assert Rows.of(saver).orphans() == {"ckpt_write": {("large", "", "never"), ("copy", "", "never")}}
    await expect_tags_of(saver)
    assert [thread.checkpoints for thread in await saver.alist_threads()] == [CHECKPOINTS, CHECKPOINTS]
    assert (await saver.averify(deep=True)).ok


@on_both
@pytest.mark.parametrize("end", ["prune", "delete"])
async def test_what_a_copy_left_that_died_is_deleted_with_its_target(saver: SQLAlchemySaver, end: str) -> None:
    await fill(saver)
    with transactions(at(3, die)), pytest.raises(ValueError, match="gone"):
        await saver.acopy_thread("large", "copy")
    assert rows(saver)["ckpt_checkpoint"] > CHECKPOINTS
    if end == "prune":
        await saver.aprune(["copy"])
    else:
        await saver.adelete_thread("copy")
    await saver.adelete_thread("large")
    # The write that never had a checkpoint ages out with retention.
    assert rows(saver) == ({"ckpt_thread": 1, "ckpt_write": 1} if end == "prune" else {})


@on_both
async def test_a_copy_is_of_what_a_prune_of_its_source_left(saver: SQLAlchemySaver, url: str) -> None:
    await fill(saver)
    async with SQLAlchemySaver.from_conn_string(url) as other:
        for number in (1, 3):
            with transactions(at(number, lambda: other.delete_for_runs(["run 0"]))):
                await saver.acopy_thread("large", f"copy {number}")
            assert await content(saver, f"copy {number}") == await content(saver, "large")
            await saver.adelete_thread("large")
            await fill(saver)
    await saver.adelete_thread("large")
    assert set(Rows.of(saver).orphans()) <= {"ckpt_write"}
    await expect_tags_of(saver)


@on_both
async def test_a_copy_of_a_thread_that_was_deleted_meanwhile_leaves_nothing(saver: SQLAlchemySaver, url: str) -> None:
    await fill(saver)
    async with SQLAlchemySaver.from_conn_string(url) as other:
        with transactions(at(2, lambda: other.delete_thread("large"))):
            await saver.acopy_thread("large", "copy")
    assert rows(saver) == {}


@on_both
async def test_a_target_that_was_deleted_meanwhile_is_copied_again(saver: SQLAlchemySaver, url: str) -> None:
    await fill(saver)
    async with SQLAlchemySaver.from_conn_string(url) as other:
        for number in range(1, 4):
            with transactions(at(number, lambda: other.delete_thread("copy"))):
                await saver.acopy_thread("large", "copy")
            assert await content(saver, "copy") == await content(saver, "large")
    assert set(Rows.of(saver).orphans()) == {"ckpt_write"}


@on_both
async def test_what_is_put_to_the_source_meanwhile_leaves_no_half_of_it(saver: SQLAlchemySaver, url: str) -> None:
    await fill(saver)
    before = await content(saver, "large")
    made = checkpoint({"new": ["x" * 3_000]}, {"new": "1"})
    async with SQLAlchemySaver.from_conn_string(url) as other:
        with transactions(at(1, lambda: other.put(config("large", checkpoint_ns=""), made, metadata(), {"new": "1"}))):
            await saver.acopy_thread("large", "copy")
    assert len(await saver.alist(config("large"))) == CHECKPOINTS + 1
    assert await content(saver, "copy") == before
    assert set(Rows.of(saver).orphans()) == {"ckpt_write"}
    assert (await saver.averify()).ok


@on_both
async def test_a_copy_of_many_checkpoints_appears_newest_first(saver: SQLAlchemySaver, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(saver)
    source = await content(saver, "large")
    monkeypatch.setattr(copy, "_SHOWN_AT_ONCE", 40)
    seen: list[int] = []
    async with SQLAlchemySaver.from_conn_string(url) as other:

        def look(_number: int) -> None:
            found = _content(list(other.list(config("copy"))))
            assert found == source[: len(found)]
            seen.append(len(found))

        with transactions(look):
            await saver.acopy_thread("large", "copy")
    assert [each for each in seen if each] == [40, 80]
    assert await content(saver, "copy") == source


@on_both
async def test_copies_to_one_target_and_a_put_to_it_add_up(saver: SQLAlchemySaver) -> None:
    await chain(saver, "a", 3)
    await chain(saver, "b", 2)
    other = config("target")
    _, _, own = await asyncio.gather(saver.acopy_thread("a", "target"), saver.acopy_thread("b", "target"), put(saver, other, {"n": 9}))
    together = [*await content(saver, "a"), *await content(saver, "b"), *await content(saver, "target")]
    assert len(await content(saver, "target")) == 6
    assert {each[0] for each in await content(saver, "target")} == {each[0] for each in together}
    assert own["configurable"]["checkpoint_id"] in {each[0] for each in together}
    assert Rows.of(saver).orphans() == {}
    await expect_tags_of(saver)
    counts = {thread.thread_id: thread.checkpoints for thread in await saver.alist_threads()}
    assert counts == {"a": 3, "b": 2, "target": 6}


@on_both
async def test_a_copy_to_itself_changes_nothing(saver: SQLAlchemySaver) -> None:
    await chain(saver, "t", 3)
    before = await content(saver, "t"), rows(saver)
    await saver.acopy_thread("t", "t")
    assert (await content(saver, "t"), rows(saver)) == before
    assert [thread.checkpoints for thread in await saver.alist_threads()] == [3]


@on_both
async def test_a_source_that_is_pruned_all_the_time_ends_the_copy_with_an_error(
    saver: SQLAlchemySaver, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_run, "_MAX_TRIES", 2)
    await chain(saver, "t", 3)
    async with SQLAlchemySaver.from_conn_string(url) as other:
        busy = [False]

        def prune(_number: int) -> None:
            if not busy[0]:
                busy[0] = True
                other.prune(["t"])
                busy[0] = False

        with transactions(prune), pytest.raises(DatabaseUnavailable, match="again and again"):
            await saver.acopy_thread("t", "copy")
    assert await content(saver, "copy") == []
