"""What becomes a tag: by pattern, agreed upon by all savers of a database, and never a credential by accident."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ckptstore import SQLAlchemySaver, TagKeys
from ckptstore.cli import main
from ckptstore.errors import InvalidConfig, KeyNotIndexed, TagKeysChanged
from ckptstore.maintenance import reindex as tagging
from ckptstore.store import store
from ckptstore.tags.encoding import postings
from tests.support.build import chain, checkpoint, config, metadata, put
from tests.support.rows import tag_rows

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


@pytest.mark.parametrize("wrong", [None, 5, {"a"}, "a", b"a", ["a", None], [""], ("a", 1), {"a": 1}], ids=repr)
@pytest.mark.parametrize("name", ["include", "exclude", "credentials"])
def test_patterns_and_words_are_sequences_of_texts(name: str, wrong: Any) -> None:
    with pytest.raises(InvalidConfig, match=rf"tag_keys\.{name} must be a sequence of texts"):
        TagKeys(**{name: wrong})


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
async def test_a_nested_key_that_is_not_indexed_is_said_by_every_listing(wanted: dict[str, Any]) -> None:
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
async def test_a_deletion_by_a_key_that_is_not_indexed_deletes_nothing_and_says_so(url: str, tag_keys: TagKeys) -> None:
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

SECRETS = [
    "api_key", "apikey", "apiKey", "API-KEY", "OPENAI_API_KEY", "x-api-key", "api_keys", "token", "access_token", "refreshToken",
    "auth", "Authorization", "session.cookie", "db_password", "private_key", "privateKey", "client_secret", "secretKey", "jwt",
]  # fmt: skip
HARMLESS = ["author", "authority", "tokenizer", "max_tokenized", "secretary", "monkey", "keyboard", "user", "key", "passwordless"]


async def test_credentials_of_the_configurable_reach_neither_metadata_nor_tags(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        made = checkpoint()
        await saver.aput(config("t", **dict.fromkeys([*SECRETS, *HARMLESS], "s3cret")), made, metadata(), {})
        (found,) = await saver.alist(None)
        assert {name for name, value in found.metadata.items() if value == "s3cret"} == set(HARMLESS)
        assert {row[0] for row in tag_rows(saver) if "s3cret" in row[1]} == set(HARMLESS)
        assert await saver.alist(None, filter={"api_key": "s3cret"}) == []


async def test_words_are_texts_and_no_patterns() -> None:
    async with SQLAlchemySaver.from_conn_string(":memory:", tag_keys=TagKeys(credentials=("p.n", "a|b", "["))) as saver:
        made = checkpoint()
        await saver.aput(config("t", **{"p.n": "s", "pin": "s", "a": "s", "a|b": "s", "[": "s", "token": "s"}), made, metadata(), {})
        (found,) = await saver.alist(None)
        assert {name for name, value in found.metadata.items() if value == "s"} == {"pin", "a", "token"}


async def test_what_the_caller_says_in_metadata_is_kept_whatever_its_name() -> None:
    async with SQLAlchemySaver.from_conn_string(":memory:") as saver:
        await put(saver, config("t", token="from the config"), **{"token": "said"})
        assert len(await saver.alist(None, filter={"token": "said"})) == 1


async def test_other_words_are_no_other_tags(lasting_url: str) -> None:
    for words in ((), ("pin",), ("token", "pin")):
        async with SQLAlchemySaver.from_conn_string(lasting_url, tag_keys=TagKeys(credentials=words)) as saver:
            await put(saver, config("t"))
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        assert len(await saver.alist(None, filter={"source": "loop"})) == 3


# --- agreement ----------------------------------------------------------------------------------------------------------

OTHERS = [TagKeys(exclude=("step",)), TagKeys(include=("step", "user/name")), TagKeys(include=()), TagKeys(exclude=("*",))]


@pytest.mark.parametrize("operation", ["put", "writes", "get", "list", "threads", "delete", "prune", "copy", "age", "setup"])
async def test_no_operation_goes_on_with_other_tag_keys(lasting_url: str, operation: str) -> None:
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


# --- what an index with holes must not say --------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [{"$exists": True}, {}], ids=str)
async def test_what_is_there_is_found_though_all_below_it_is_not_indexed(url: str, wanted: Any) -> None:
    async with SQLAlchemySaver.from_conn_string(url, tag_keys=TagKeys(exclude=("user/email",))) as saver:
        await put(saver, config("t"), user={"email": "x"})
        try:
            assert len(await saver.alist(None, filter={"user": wanted})) == 1
        except KeyNotIndexed as exc:
            assert "'user'" in str(exc)  # noqa: PT017


@pytest.mark.parametrize(
    ("pattern", "found"), [("k" * 220, {"k" * 220: "s3cret"}), ("*/secret", {"k" * 205: {"secret": "s3cret"}})], ids=len
)
def test_a_long_path_is_kept_out_as_a_short_one(pattern: str, found: dict[str, Any]) -> None:
    assert postings(found, TagKeys(exclude=(pattern,))) == frozenset()


async def test_after_half_a_rebuild_no_saver_gives_half_an_answer(lasting_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        for n in range(3):
            await put(saver, config(f"t{n}"), user="ada")
    real = store.rebuild_tags

    def breaks_down(connection: Any, thread_id: str, *args: Any, **kwargs: Any) -> int:
        if thread_id == "t1":
            raise RuntimeError("power cut")
        return real(connection, thread_id, *args, **kwargs)

    async with SQLAlchemySaver.from_conn_string(lasting_url, tag_keys=TagKeys(exclude=("user",))) as saver:
        monkeypatch.setattr(store, "rebuild_tags", breaks_down)
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
