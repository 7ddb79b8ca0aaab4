"""A verification compares the tag index with the metadata."""

from __future__ import annotations

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.maintenance import verify_tags
from ckptstore.tags.keys import TagKeys
from tests.support.build import chain, config, put
from tests.support.checked_rows import run


async def test_checkpoints_without_some_of_their_tags_are_reported(lasting_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_tags, "_CHECKPOINTS_PER_PAGE", 2)
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await chain(saver, "t", 5, user="ann", nested={"empty": [], "of": [1, 2.5, None, True]})
        await put(saver, config("u"), long="x" * 500, parents={})
        assert (await saver.averify()).ok
        newest = (await saver.alist(config("t")))[0].config["configurable"]["checkpoint_id"]
        run(saver, f"DELETE FROM ckpt_tag WHERE key = 'user' AND checkpoint_id = '{newest}'")
        # As if it were of another thread.
        run(saver, "INSERT INTO ckpt_tag SELECT key, value, checkpoint_id, 'w', checkpoint_ns FROM ckpt_tag WHERE key = 'long'")
        run(saver, "DELETE FROM ckpt_tag WHERE thread_id = 'u' AND key = 'long'")
        report = await saver.averify()
        assert [key.thread_id for key in report.untagged_checkpoints] == ["t", "u"]
        assert report.untagged_checkpoints[0].checkpoint_id == newest
        assert not report.ok
        await saver.arebuild_tags()
        assert (await saver.averify()).ok


async def test_only_the_keys_that_are_indexed_are_looked_for(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url, tag_keys=TagKeys(exclude=["user"])) as saver:
        await chain(saver, "t", 2, user="ann", kind="x")
        assert (await saver.averify()).ok
        run(saver, "DELETE FROM ckpt_tag WHERE key = 'kind'")
        assert len((await saver.averify()).untagged_checkpoints) == 2
        # While it is being rebuilt the index lacks tags.
        run(saver, """UPDATE ckpt_setting SET value = '{"rebuilding": true}' WHERE name = 'tag_keys'""")
        assert (await saver.averify()).ok


async def test_hidden_and_pruned_checkpoints_need_no_tags(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await chain(saver, "t", 5, user="ann")
        await saver.aprune(["t"])
        await saver.acopy_thread("t", "copy")
        assert (await saver.averify()).ok
