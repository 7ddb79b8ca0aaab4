"""What becomes a tag: by pattern, agreed upon by all savers of a database, and never a credential by accident."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ckptstore import SQLAlchemySaver, TagKeys, store
from ckptstore.cli import main
from ckptstore.errors import InvalidConfig, KeyNotIndexed, TagKeysChanged
from ckptstore.tags import postings
from tests.build import chain, checkpoint, config, metadata, put
from tests.test_tags import tag_rows

PATTERNS = [
    ({}, {"a": 1, "b": {"c": 2}}, {"a", "b/c"}),
    ({"include": ("a",)}, {"a": 1, "b": 2, "aa": 3}, {"a"}),
    ({"include": ("a*",)}, {"a": 1, "b": 2, "aa": {"x": 3}}, {"a", "aa/x"}),
    ({"exclude": ("a",)}, {"a": {"deep": [1]}, "b": 2}, {"b"}),
    ({"include": ("user/name",)}, {"user": {"name": "x", "age": 3}, "name": "y"}, {"user/name"}),
    ({"exclude": ("user/email",)}, {"user": {"name": "x", "email": {"home": "y"}}}, {"user/name"}),
    ({"exclude": ("a.b",)}, {"a.b": 1, "a": {"b": 2}}, {"a/b"}),
    ({"exclude": ("odd/key~",)}, {"odd/key~": 1, "odd": 2}, {"odd"}),
    ({"include": ("list",)}, {"list": [1, {"x": [2]}], "no": [3]}, {"list/~2", "list/~2/x/~2"}),
    ({"include": ("*",), "exclude": ("*",)}, {"a": 1}, set()),
    ({"include": ()}, {"a": 1}, set()),
]


@pytest.mark.parametrize(("given", "found", "expected"), PATTERNS, ids=lambda value: json.dumps(value, default=sorted))
def test_patterns_choose_the_keys(given: dict[str, Any], found: dict[str, Any], expected: set[str]) -> None:
    assert {posting.key for posting in postings(found, TagKeys(**given))} == expected


@pytest.mark.parametrize("wrong", [{"include": "a"}, {"exclude": [1]}, {"credentials": None}, {"include": ("",)}], ids=str)
def test_what_is_no_sequence_of_texts_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match=f"tag_keys.{next(iter(wrong))}"):
        TagKeys(**wrong)


@pytest.mark.parametrize(
    "wanted",
    [1, {"x": 1}, [1], {"$eq": 1}, {"$ne": 1}, {"$ne": {}}, {"$in": [1]}, {"$gt": 1}, {"$exists": True}, {"$exists": False}, {}, []],
    ids=str,
)
async def test_no_operator_scans_for_a_key_that_is_not_indexed(url: str, wanted: Any) -> None:
    async with SQLAlchemySaver.from_conn_string(url, tag_keys=TagKeys(exclude=("hidden",))) as saver:
        await put(saver, config("t"), hidden=1, shown=1)
        with pytest.raises(KeyNotIndexed, match=r"'hidden'.*tag_keys"):
            saver.alist(None, filter={"hidden": wanted, "shown": 1})
        assert len(await saver.alist(None, filter={"shown": 1})) == 1


async def test_runs_are_not_deleted_by_a_key_that_is_not_indexed(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url, tag_keys=TagKeys(exclude=("run_*",))) as saver:
        await put(saver, config("t"), run_id="r")
        with pytest.raises(KeyNotIndexed, match="'run_id'"):
            await saver.adelete_for_runs(["r"])


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (None, {"session", "pin_code"}),
        ((), {"api_key", "accessToken", "session", "pin_code"}),
        (("pin",), {"api_key", "accessToken", "session"}),
    ],
    ids=["ours", "none", "the caller's"],
)
async def test_words_say_what_is_a_credential(url: str, words: tuple[str, ...] | None, kept: set[str]) -> None:
    tag_keys = TagKeys() if words is None else TagKeys(credentials=words)
    async with SQLAlchemySaver.from_conn_string(url, tag_keys=tag_keys) as saver:
        made = checkpoint()
        given = {"api_key": "x", "accessToken": "x", "session": "x", "pin_code": "x"}
        await saver.aput(config("t", **given), made, metadata(), {})
        (found,) = await saver.alist(None)
        assert set(found.metadata) & set(given) == kept


async def expect_tags_of(saver: SQLAlchemySaver) -> None:
    expected = {
        (*posting, c.checkpoint["id"], c.config["configurable"]["thread_id"], c.config["configurable"]["checkpoint_ns"])
        for c in await saver.alist(None)
        for posting in postings(dict(c.metadata), saver.tag_keys)
    }
    assert tag_rows(saver) == expected


async def test_savers_have_to_agree_until_the_tags_are_made_anew(lasting_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few = TagKeys(exclude=("step", "deep/er"))
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        for n in range(5):
            await chain(saver, f"t{n}", 3, deep={"er": 1, "and": 2})
    async with SQLAlchemySaver.from_conn_string(lasting_url, tag_keys=few) as saver:
        for operation in (saver.alist(None), put(saver, config("t")), saver.aget_tuple(config("t")), saver.alist_threads()):
            with pytest.raises(TagKeysChanged, match=r"'exclude': \[\].*'deep/er', 'step'.*ckptstore tags rebuild"):
                await operation
        real = store.rebuild_tags
        calls = iter(range(100))

        def breaks_down(*args: Any, **kwargs: Any) -> int:
            if next(calls) == 2:
                raise RuntimeError("power cut")
            return real(*args, **kwargs)

        monkeypatch.setattr(store, "rebuild_tags", breaks_down)
        with pytest.raises(RuntimeError, match="power cut"):
            await saver.arebuild_tags()
        with pytest.raises(TagKeysChanged):
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


async def test_the_command_makes_tags_anew(tmp_path: Path) -> None:
    url = str(tmp_path / "checkpoints.sqlite")
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await chain(saver, "t", 3, user="ada")
    done = CliRunner().invoke(main, ["tags", "rebuild", "--url", url, "--include", "user", "--include", "step"])
    assert (done.exit_code, done.stdout) == (0, "6 tags\n")
    async with SQLAlchemySaver.from_conn_string(url, tag_keys=TagKeys(include=("step", "user"))) as saver:
        await expect_tags_of(saver)
    assert CliRunner().invoke(main, ["blobs", "collect", "--url", url]).exit_code == 0
