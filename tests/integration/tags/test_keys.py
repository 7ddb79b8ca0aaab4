"""What becomes a tag: by pattern, agreed upon by all savers of a database, and never a credential by accident."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver, TagKeys
from ckptstore.errors import KeyNotIndexed
from ckptstore.tags.encoding import postings
from tests.support.build import chain, checkpoint, config, metadata, put
from tests.support.rows import expect_tags_of, tag_rows


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
        (None, {"session", "door_pin"}),
        ((), {"api_key", "accessToken", "session", "door_pin"}),
        (("pin",), {"api_key", "accessToken", "session"}),
    ],
    ids=["ours", "none", "the caller's"],
)
async def test_words_say_what_is_a_credential(url: str, words: tuple[str, ...] | None, kept: set[str]) -> None:
    tag_keys = TagKeys() if words is None else TagKeys(credentials=words)
    async with SQLAlchemySaver.from_conn_string(url, tag_keys=tag_keys) as saver:
        made = checkpoint()
        given = {"api_key": "x", "accessToken": "x", "session": "x", "door_pin": "x"}
        await saver.aput(config("t", **given), made, metadata(), {})
        (found,) = await saver.alist(None)
        assert set(found.metadata) & set(given) == kept


# --- patterns -----------------------------------------------------------------------------------------------------------

MORE_PATTERNS: list[tuple[dict[str, Any], dict[str, Any], set[str]]] = [
    ({"exclude": ("items/price",)}, {"items": [{"price": 1, "name": "x"}]}, {"items/~2/name"}),
    ({"include": ("items/name",)}, {"items": [{"price": 1, "name": "x"}], "name": "y"}, {"items/~2/name"}),
    ({"include": ("user",), "exclude": ("user/email",)}, {"user": {"email": "x", "name": "y"}, "z": 1}, {"user/name"}),
    ({"include": ("user/*",)}, {"user": {"a": 1}, "user2": {"a": 1}}, {"user/a"}),
    ({"exclude": ("*/secret",)}, {"a": {"secret": 1, "open": 2}, "secret": 3}, {"a/open", "secret"}),
    ({"exclude": ("k?",)}, {"k": 1, "k1": 2, "k12": 3}, {"k", "k12"}),
    ({"exclude": ("[ab]",)}, {"a": 1, "b": 2, "c": 3}, {"c"}),
    ({"include": ("a", "b*"), "exclude": ("b1", "x")}, {"a": 1, "b": 2, "b1": 3, "x": 4}, {"a", "b"}),
    ({"include": ("a",)}, {"a/b": 1, "a": {"b": 2}}, {"a/b"}),
    ({"include": ("~1",)}, {"~1": 1, "/": 2}, {"~01"}),
    ({"include": ("~2",)}, {"~2": 1, "a": [2]}, {"~02"}),
    ({"include": ("A",)}, {"a": 1, "A": 2}, {"A"}),
    ({"exclude": ("a\n",)}, {"a": 1, "a\n": 2}, {"a"}),
    ({"include": ("a|b", ".*")}, {"a|b": 1, "a": 2, ".x": 3}, {"a|b", ".x"}),
]


@pytest.mark.parametrize(("given", "found", "expected"), MORE_PATTERNS, ids=lambda value: json.dumps(value, default=sorted))
async def test_patterns_choose_what_can_be_searched_by(given: dict[str, Any], found: dict[str, Any], expected: set[str]) -> None:
    tag_keys = TagKeys(**given)
    assert {posting.key for posting in postings(found, tag_keys)} == expected
    async with SQLAlchemySaver.from_conn_string(":memory:", tag_keys=tag_keys) as saver:
        await put(saver, config("t"), **found)
        assert {row[0] for row in tag_rows(saver)} & {posting.key for posting in postings(found)} == expected
        for key, value in found.items():
            if {posting.key for posting in postings({key: value})} <= expected:
                assert len(await saver.alist(None, filter={key: value})) == 1
            else:
                with pytest.raises(KeyNotIndexed):
                    saver.alist(None, filter={key: value})


# --- keys that are not indexed ------------------------------------------------------------------------------------------

HIDDEN: list[dict[str, Any]] = [
    {"user": {"email": "x"}},
    {"user": {"email": {"$eq": "x"}}},
    {"user": {"email": {"$ne": "x"}}},
    {"user": {"email": {"$ne": []}}},
    {"user": {"email": {"$in": ["x"]}}},
    {"user": {"email": {"$in": []}}},
    {"user": {"email": {"$gt": "a", "$lt": "z"}}},
    {"user": {"email": {"$exists": True}}},
    {"user": {"email": {"$exists": False}}},
    {"user": {"email": {}}},
    {"user": {"email": []}},
    {"user": {"email": {"home": "x"}}},
    {"user": {"name": "ada", "email": "x"}},
    {"user": {"$eq": {"email": "x"}}},
    {"user": [{"email": "x"}]},
]


@pytest.mark.parametrize("wanted", HIDDEN, ids=str)
async def test_a_nested_key_that_is_not_indexed_is_reported_by_every_listing(wanted: dict[str, Any]) -> None:
    async with SQLAlchemySaver.from_conn_string(":memory:", tag_keys=TagKeys(exclude=("user/email",))) as saver:
        await put(saver, config("t"), user={"email": "x", "name": "ada"})
        for listing in (saver.alist, saver.list, lambda _, **how: saver.alist_threads(**how), lambda _, **how: saver.list_threads(**how)):
            with pytest.raises(KeyNotIndexed, match="'user'"):
                listing(None, filter=wanted)
        assert len(await saver.alist(None, filter={"user": {"name": "ada"}})) == 1
        assert len(await saver.alist_threads(filter={"user": {"name": "ada"}})) == 1


async def test_above_what_is_indexed_nothing_is_known() -> None:
    async with SQLAlchemySaver.from_conn_string(":memory:", tag_keys=TagKeys(include=("user/name",))) as saver:
        await put(saver, config("t"), user={"email": "x"})
        for wanted in ({"$exists": True}, {"$exists": False}, {}, "x", {"email": "x"}):
            with pytest.raises(KeyNotIndexed, match="'user'"):
                saver.alist(None, filter={"user": wanted})
        assert await saver.alist(None, filter={"user": {"name": {"$exists": True}}}) == []
        assert len(await saver.alist(None, filter={"user": {"name": {"$exists": False}}})) == 1


@pytest.mark.parametrize("tag_keys", [TagKeys(exclude=("run_id",)), TagKeys(include=("user",)), TagKeys(exclude=("*",))], ids=str)
async def test_a_deletion_by_a_key_that_is_not_indexed_deletes_nothing_and_is_refused(url: str, tag_keys: TagKeys) -> None:
    async with SQLAlchemySaver.from_conn_string(url, tag_keys=tag_keys) as saver:
        await put(saver, config("t"), run_id="r")
        with pytest.raises(KeyNotIndexed, match="'run_id'"):
            await saver.adelete_for_runs(["r"])
        with pytest.raises(KeyNotIndexed, match="'run_id'"):
            await asyncio.to_thread(saver.delete_for_runs, ["r"])
        assert len(await saver.alist(None)) == 1


async def test_what_has_no_tags_is_replaced_copied_and_deleted_as_anything(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url, tag_keys=TagKeys(include=("user",))) as saver:
        made = checkpoint({"a": 1})
        for user in ("ada", "grace"):
            await saver.aput(config("t"), made, metadata(3, user=user), made["channel_versions"])
            await expect_tags_of(saver)
        await chain(saver, "t", 3, user="ada")
        await saver.acopy_thread("t", "copy")
        await expect_tags_of(saver)
        await saver.aprune(["t"])
        await expect_tags_of(saver)
        await saver.adelete_thread("copy")
        await saver.adelete_thread("t")
        assert tag_rows(saver) == set()


# --- credentials --------------------------------------------------------------------------------------------------------

SECRETS = ["api_key", "anthropic_key", "huggingface_hub_pat", "pass", "db_url", "refreshToken"]
HARMLESS = ["author", "key", "auth_user_id", "langgraph_auth_user_id", "token_count", "cookie_policy"]


async def test_credentials_of_the_configurable_reach_neither_metadata_nor_tags(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        made = checkpoint()
        await saver.aput(config("t", **dict.fromkeys([*SECRETS, *HARMLESS], "s3cret")), made, metadata(), {})
        (found,) = await saver.alist(None)
        assert {name for name, value in found.metadata.items() if value == "s3cret"} == set(HARMLESS)
        assert {row[0] for row in tag_rows(saver) if "s3cret" in row[1]} == set(HARMLESS)
        assert await saver.alist(None, filter={"api_key": "s3cret"}) == []


async def test_words_are_texts_and_no_patterns() -> None:
    async with SQLAlchemySaver.from_conn_string(":memory:", tag_keys=TagKeys(credentials=("p.n", "a|b"))) as saver:
        made = checkpoint()
        await saver.aput(config("t", **{"p.n": "s", "pin": "s", "a": "s", "a|b": "s", "token": "s"}), made, metadata(), {})
        (found,) = await saver.alist(None)
        assert {name for name, value in found.metadata.items() if value == "s"} == {"pin", "a", "token"}


async def test_what_the_caller_passes_in_metadata_is_kept_whatever_its_name() -> None:
    async with SQLAlchemySaver.from_conn_string(":memory:") as saver:
        await put(saver, config("t", token="from the config"), **dict[str, Any](token="said"))
        assert len(await saver.alist(None, filter={"token": "said"})) == 1


async def test_other_words_are_no_other_tags(lasting_url: str) -> None:
    for words in ((), ("pin",), ("token", "pin")):
        async with SQLAlchemySaver.from_conn_string(lasting_url, tag_keys=TagKeys(credentials=words)) as saver:
            await put(saver, config("t"))
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        assert len(await saver.alist(None, filter={"source": "loop"})) == 3


# --- what an index with holes must not say --------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [{"$exists": True}, {}], ids=str)
async def test_what_is_there_is_found_though_all_below_it_is_not_indexed(url: str, wanted: Any) -> None:
    async with SQLAlchemySaver.from_conn_string(url, tag_keys=TagKeys(exclude=("user/email",))) as saver:
        await put(saver, config("t"), user={"email": "x"})
        try:
            assert len(await saver.alist(None, filter={"user": wanted})) == 1
        except KeyNotIndexed as exc:
            assert "'user'" in str(exc)  # noqa: PT017
