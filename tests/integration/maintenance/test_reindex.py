"""Savers of a database agree on tag keys, until the tags are made anew."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver, TagKeys
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import Row
from ckptstore.errors import TagKeysChanged
from ckptstore.maintenance import reindex as tagging
from ckptstore.store import upkeep
from ckptstore.writes.tag_rows import delete_tags
from tests.support.build import chain, checkpoint, config, metadata, put
from tests.support.rows import expect_tags_of, tag_rows


async def test_savers_have_to_agree_until_the_tags_are_made_anew(lasting_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few = TagKeys(exclude=("step", "deep/er"))
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        for n in range(5):
            await chain(saver, f"t{n}", 3, deep={"er": 1, "and": 2})
    async with SQLAlchemySaver.from_conn_string(lasting_url, tag_keys=few) as saver:
        for operation in (saver.alist(None), put(saver, config("t")), saver.aget_tuple(config("t")), saver.alist_threads()):
            with pytest.raises(TagKeysChanged, match=r"'exclude': \[\].*'deep/er', 'step'.*ckptstore tags rebuild"):
                await operation
        real = upkeep.rebuild_tags  # type: ignore[attr-defined]  # where it is used, to be replaced there
        calls = iter(range(100))

        def breaks_down(*args: Any, **kwargs: Any) -> Any:
            if next(calls) == 2:
                raise RuntimeError("power cut")
            return real(*args, **kwargs)

        monkeypatch.setattr(upkeep, "rebuild_tags", breaks_down)
        with pytest.raises(RuntimeError, match="power cut"):
            await saver.arebuild_tags()
        with pytest.raises(TagKeysChanged, match=r"a rebuild was interrupted.*ckptstore tags rebuild"):
            await saver.alist(None)
        assert await saver.arebuild_tags() == len(tag_rows(saver)) == await saver.arebuild_tags()
        await expect_tags_of(saver)
        await chain(saver, "new", 2)
        await saver.acopy_thread("t0", "copy")
        await expect_tags_of(saver)
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        with pytest.raises(TagKeysChanged):
            await saver.alist(None)
    async with SQLAlchemySaver.from_conn_string(lasting_url, tag_keys=TagKeys(exclude=("deep/er", "step"), credentials=())) as saver:
        assert len(await saver.alist(None, filter={"source": "loop"})) == 20


async def test_an_empty_store_takes_the_keys_over(lasting_url: str) -> None:
    for _ in range(2):
        async with SQLAlchemySaver.from_conn_string(lasting_url, tag_keys=TagKeys(include=("user",))) as saver:
            await put(saver, config("t"), user="ada", step=1)
            await expect_tags_of(saver)


OTHERS = [TagKeys(exclude=("step",)), TagKeys(include=("step", "user/name")), TagKeys(include=()), TagKeys(exclude=("*",))]


@pytest.mark.parametrize("operation", ["put", "writes", "get", "list", "threads", "delete", "prune", "copy", "age", "setup"])
async def test_no_operation_continues_with_other_tag_keys(lasting_url: str, operation: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await put(saver, config("t"), user="ada")
        before = await saver.alist(None)
    async with SQLAlchemySaver.from_conn_string(lasting_url, tag_keys=TagKeys(exclude=("user",))) as saver:
        attempts: dict[str, Any] = {
            "put": lambda: put(saver, config("t")),
            "writes": lambda: saver.aput_writes(config("t", "c"), [("a", 1)], "task"),
            "get": lambda: saver.aget_tuple(config("t")),
            "list": lambda: saver.alist(None),
            "threads": saver.alist_threads,
            "delete": lambda: saver.adelete_thread("t"),
            "prune": lambda: saver.aprune(["t"]),
            "copy": lambda: saver.acopy_thread("t", "u"),
            "age": lambda: saver.aprune_older_than(timedelta(0)),
            "setup": saver.setup,
        }
        for _ in range(2):
            with pytest.raises(TagKeysChanged, match=r"'exclude': \[\].*'exclude': \['user'\].*ckptstore tags rebuild"):
                await attempts[operation]()
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        assert await saver.alist(None) == before


async def test_an_emptied_store_remembers_its_keys(lasting_url: str) -> None:
    one, other = OTHERS[:2]
    async with SQLAlchemySaver.from_conn_string(lasting_url, tag_keys=one) as saver:
        await put(saver, config("t"), user={"name": "ada"})
        await saver.adelete_thread("t")
    async with SQLAlchemySaver.from_conn_string(lasting_url, tag_keys=other) as saver:
        with pytest.raises(TagKeysChanged):
            await put(saver, config("t"), user={"name": "ada"})
        assert await saver.arebuild_tags() == 0
        await put(saver, config("t"), user={"name": "ada"})
        await expect_tags_of(saver)


async def test_the_order_of_patterns_is_no_difference(lasting_url: str) -> None:
    for exclude in (("a", "b"), ("b", "a"), ["a", "b"]):
        async with SQLAlchemySaver.from_conn_string(lasting_url, tag_keys=TagKeys(exclude=exclude)) as saver:
            await put(saver, config("t"), a=1, b=2, c=3)
            await expect_tags_of(saver)


async def test_rebuilding_gives_exactly_the_tags_of_the_new_keys_and_changes_nothing_else(
    lasting_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tagging, "_THREADS_PER_PAGE", 2)
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        for n in range(5):
            await chain(saver, f"t{n}", 3, user={"name": f"u{n}", "email": "x"}, labels=[{"a": [1, None]}, {}], **{"a/b~": True})
        before, listed = await saver.alist(None), await saver.alist_threads()
    for tag_keys in (*OTHERS, TagKeys()):
        async with SQLAlchemySaver.from_conn_string(lasting_url, tag_keys=tag_keys) as saver:
            for _ in range(2):
                assert await asyncio.to_thread(saver.rebuild_tags) == len(tag_rows(saver))
                await expect_tags_of(saver)
            assert await saver.alist(None) == before
            assert await saver.alist_threads() == listed


async def test_a_rebuild_deletes_only_the_tags_that_go(lasting_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    deleted: list[Row] = []

    def noted(db: Db, rows: Sequence[Row]) -> None:
        deleted.extend(rows)
        delete_tags(db, rows)

    monkeypatch.setattr(tagging, "delete_tags", noted)
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await chain(saver, "t", 3)
        tags = tag_rows(saver)
        await saver.arebuild_tags()
        assert tags.isdisjoint(deleted)
    async with SQLAlchemySaver.from_conn_string(lasting_url, tag_keys=TagKeys(exclude=("step",))) as saver:
        await saver.arebuild_tags()
        assert {key for key, *_ in tags.intersection(deleted)} == {"step"}
        await expect_tags_of(saver)


async def test_what_is_only_kept_for_others_gets_no_tags_back(saver: SQLAlchemySaver) -> None:
    where = await put(saver, config("t"), {"d": 0}, step=0)
    for step in range(1, 5):
        made = checkpoint({}, {"d": f"{step + 1:010}"})
        where = await saver.aput(where, made, metadata(step, counters_since_delta_snapshot={"d": [1, 1]}), made["channel_versions"])
        await saver.aput_writes(where, [("d", step)], f"task-{step}")
    await saver.aprune(["t"])
    before = tag_rows(saver)
    assert await saver.arebuild_tags() == len(before)
    assert tag_rows(saver) == before
    assert await saver.alist(None, filter={"step": 2}) == []


async def test_a_thread_whose_tags_could_not_be_made_keeps_those_it_had(lasting_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await chain(saver, "t", 3)
        before = tag_rows(saver)

    def breaks_down(*_args: Any) -> None:
        raise RuntimeError("power cut")

    async with SQLAlchemySaver.from_conn_string(lasting_url, tag_keys=TagKeys(exclude=("step",))) as saver:
        with monkeypatch.context() as patched:
            patched.setattr(tagging, "insert_tags", breaks_down)
            with pytest.raises(RuntimeError, match="power cut"):
                await saver.arebuild_tags()
        assert tag_rows(saver) == before
        assert await saver.arebuild_tags() == len(tag_rows(saver)) == len(before) - 3
        await expect_tags_of(saver)


async def test_an_empty_store_has_no_tags_to_make(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url, tag_keys=TagKeys(exclude=("step",))) as saver:
        await saver.setup()
        assert await saver.arebuild_tags() == 0
        await put(saver, config("t"))
        await expect_tags_of(saver)


async def test_after_half_a_rebuild_no_saver_gives_half_an_answer(lasting_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        for n in range(3):
            await put(saver, config(f"t{n}"), user="ada")
    real = upkeep.rebuild_tags  # type: ignore[attr-defined]  # where it is used, to be replaced there

    def breaks_down(connection: Any, thread_id: str, *args: Any, **kwargs: Any) -> Any:
        if thread_id == "t1":
            raise RuntimeError("power cut")
        return real(connection, thread_id, *args, **kwargs)

    async with SQLAlchemySaver.from_conn_string(lasting_url, tag_keys=TagKeys(exclude=("user",))) as saver:
        monkeypatch.setattr(upkeep, "rebuild_tags", breaks_down)
        with pytest.raises(RuntimeError, match="power cut"):
            await saver.arebuild_tags()
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        try:
            assert len(await saver.alist(None, filter={"user": "ada"})) == 3
        except TagKeysChanged as exc:
            assert "rebuild" in str(exc)  # noqa: PT017


async def test_two_savers_that_begin_together_do_not_take_over_different_keys(lasting_url: str) -> None:
    few = TagKeys(exclude=("user",))
    async with SQLAlchemySaver.from_conn_string(lasting_url, tag_keys=few) as one, SQLAlchemySaver.from_conn_string(lasting_url) as other:
        await one.setup()
        try:
            await other.setup()
            await put(one, config("t"), user="ada")
            assert len(await other.alist(None, filter={"user": "ada"})) == 1
        except TagKeysChanged as exc:
            assert "rebuild" in str(exc)  # noqa: PT017
