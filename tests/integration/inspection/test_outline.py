"""Outlines of threads."""

from __future__ import annotations

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidConfig
from ckptstore.inspection.outline import ChannelWrites, Parent, find_checkpoint, outlined_checkpoint, require_thread, thread_page
from ckptstore.runtime.steps import drive_async
from tests.support.build import chain, config, put


async def test_a_page_has_parents_sizes_metadata_and_writes(saver: SQLAlchemySaver) -> None:
    first, second = await chain(saver, "t", 2, user="ann")
    await saver.aput_writes(second, [("n", 1), ("n", 22), ("other", "x")], "task 1")
    await saver.aput_writes(second, [("n", 3)], "task 2")
    page = await drive_async(thread_page(saver.store, "t", None, None, 10))
    newest, oldest = page.checkpoints
    assert (page.thread.checkpoints, page.more) == (2, False)
    assert [oldest.parent, newest.parent] == [Parent.NONE, Parent.STORED]
    assert newest.parent_key == oldest.key
    assert newest.key.checkpoint_id == second["configurable"]["checkpoint_id"]
    assert (newest.metadata["user"], newest.channels, newest.size > 0) == ("ann", 1, True)
    assert newest.writes == [ChannelWrites("n", 3, 2, 3), ChannelWrites("other", 1, 1, 2)]
    assert oldest.key.checkpoint_id == first["configurable"]["checkpoint_id"]


async def test_a_parent_that_is_hidden_or_never_came_is_gone(saver: SQLAlchemySaver) -> None:
    await put(saver, config("t", "never-stored"), {"n": 1})
    page = await drive_async(thread_page(saver.store, "t", "", None, 10))
    assert (page.checkpoints[0].parent, page.checkpoints[0].parent_key) == (Parent.MISSING, None)


async def test_metadata_that_was_altered_does_not_hide_the_checkpoint(saver: SQLAlchemySaver) -> None:
    await chain(saver, "t", 1)
    saver.store.runner.write(lambda db: db.execute("UPDATE ckpt_checkpoint SET metadata = '[1]'")).result()
    page = await drive_async(thread_page(saver.store, "t", None, None, 10))
    assert page.checkpoints[0].metadata == {}


async def test_a_checkpoint_is_found_by_what_names_it(saver: SQLAlchemySaver) -> None:
    where = await put(saver, config("t"), {"n": 1})
    inner = await put(saver, config("t", checkpoint_ns="a:b"), {"n": 2})
    id_, inner_id = (each["configurable"]["checkpoint_id"] for each in (where, inner))
    for checkpoint_ns, wanted, found in ((None, id_, ""), (None, inner_id[:-1], "a:b"), ("a:b", None, "a:b"), (None, None, "")):
        key = await drive_async(find_checkpoint(saver.store, "t", checkpoint_ns, wanted))
        assert (key.checkpoint_ns, key.checkpoint_id) == (found, inner_id if found else id_)
    for checkpoint_ns, wanted in ((None, "\U0010ffff"), ("", inner_id), ("x", None)):
        with pytest.raises(InvalidConfig, match="has no checkpoint"):
            await drive_async(find_checkpoint(saver.store, "t", checkpoint_ns, wanted))
    with pytest.raises(InvalidConfig, match="several checkpoints begin with"):
        await drive_async(find_checkpoint(saver.store, "t", None, "1"))


async def test_a_thread_that_does_not_exist_is_named(saver: SQLAlchemySaver) -> None:
    for steps in (
        require_thread(saver.store, "x"),
        thread_page(saver.store, "x", None, None, 1),
        find_checkpoint(saver.store, "x", None, None),
    ):
        with pytest.raises(InvalidConfig, match="there is no thread 'x'"):
            await drive_async(steps)


async def test_one_checkpoint_is_outlined_as_on_a_page(saver: SQLAlchemySaver) -> None:
    _, second = await chain(saver, "t", 2, user="ann")
    await saver.aput_writes(second, [("n", 1)], "task")
    page = await drive_async(thread_page(saver.store, "t", None, None, 10))
    for of in page.checkpoints:
        assert await drive_async(outlined_checkpoint(saver.store, of.key)) == of
    with pytest.raises(InvalidConfig, match="has no checkpoint 'x'"):
        await drive_async(outlined_checkpoint(saver.store, page.checkpoints[0].key._replace(checkpoint_id="x")))
