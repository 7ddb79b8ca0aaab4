"""Filters by metadata: our answers are those of a simple model."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta, timezone
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidConfig
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.tags.encoding import postings
from tests.support.build import chain, checkpoint, config, put
from tests.support.build import metadata as metadata_of
from tests.support.filter_model import FILTERS, METADATA, model, without_nested
from tests.support.listings import FILTERS_OF_THE_WORLD, expected_of, listed, moment, world
from tests.support.rows import tag_rows

# --- the model: what a filter means, without an index -------------------------------------------------------------------


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(METADATA, min_size=1, max_size=12), st.lists(FILTERS, min_size=1, max_size=12))
def test_every_answer_is_the_models(url: str, written: list[dict[str, Any]], filters: list[dict[str, Any]]) -> None:
    async def run() -> None:
        async with SQLAlchemySaver.from_conn_string(url) as saver:
            for listed in {c.config["configurable"]["thread_id"] for c in await saver.alist(None)}:
                await saver.adelete_thread(listed)
            for n, metadata in enumerate(written):
                await put(saver, config(f"t{n % 3}"), **{"step": n, **{f"m{key}": value for key, value in metadata.items()}})
            everything = await saver.alist(None)
            for wanted in filters:
                # Where no checkpoint has a key with a dot, it means a nested one: see test_filter_habits.
                prefixed = without_nested({f"m{key}": value for key, value in wanted.items()}, [c.metadata for c in everything])
                for where, threads in ((None, {"t0", "t1", "t2"}), (config("t1"), {"t1"})):
                    expected = [
                        c.checkpoint["id"]
                        for c in everything
                        if c.config["configurable"]["thread_id"] in threads
                        and all(model(c.metadata.get(key, ...), value) for key, value in prefixed.items())
                    ]
                    assert [c.checkpoint["id"] for c in await saver.alist(where, filter=prefixed)] == expected
                    assert [c.checkpoint["id"] for c in await saver.alist(where, filter=prefixed, limit=2)] == expected[:2]

    asyncio.run(run())


async def test_a_rare_and_a_common_tag_find_their_common_checkpoints(saver: SQLAlchemySaver) -> None:
    for n in range(30):
        await chain(saver, f"t{n}", 5, kind="rare" if n % 10 == 0 else "common", user=f"u{n % 3}")
    found = await saver.alist(None, filter={"kind": "rare", "step": 3, "user": "u0"})
    assert sorted(c.config["configurable"]["thread_id"] for c in found) == ["t0"]
    found = await saver.alist(config("t10"), filter={"kind": "rare"}, limit=2)
    assert [c.metadata["step"] for c in found] == [4, 3]


async def expected_tags(saver: SQLAlchemySaver) -> set[tuple[Any, ...]]:
    return {
        (*posting, c.checkpoint["id"], c.config["configurable"]["thread_id"], c.config["configurable"]["checkpoint_ns"])
        for c in await saver.alist(None)
        for posting in postings(dict(c.metadata), unindexed_when_empty=LANGGRAPH.unindexed_when_empty)
    }


async def test_the_index_stays_true_through_every_kind_of_deletion_and_copy(saver: SQLAlchemySaver) -> None:
    for n in range(4):
        await chain(saver, f"t{n}", 4, run_id=f"run-{n}", deep={"list": [1, "x", {"y": None}]})
    assert tag_rows(saver) == await expected_tags(saver) != set()
    await saver.adelete_thread("t0")
    assert tag_rows(saver) == await expected_tags(saver)
    await saver.aprune(["t1"])
    assert tag_rows(saver) == await expected_tags(saver)
    await saver.acopy_thread("t2", "copy")
    assert tag_rows(saver) == await expected_tags(saver)
    await saver.adelete_for_runs(["run-2"])
    assert tag_rows(saver) == await expected_tags(saver)
    assert {c.config["configurable"]["thread_id"] for c in await saver.alist(None)} == {"t1", "t3"}
    await saver.aprune(["t1", "t3"], strategy="delete")
    assert tag_rows(saver) == set()


# --- whatever index leads, over several pages ---------------------------------------------------------------------------


async def test_a_checkpoint_that_is_named_has_to_match_too(saver: SQLAlchemySaver) -> None:
    rows = await world(saver)
    for row in (rows[0], rows[20]):
        where = config(row.thread_id, row.checkpoint_id, row.checkpoint_ns)
        for wanted in FILTERS_OF_THE_WORLD:
            how = {"config": where, "filter": wanted}
            assert listed(await saver.alist(**how)) == expected_of(rows, how)  # type: ignore[arg-type]


# --- times --------------------------------------------------------------------------------------------------------------


async def test_a_window_of_time_begins_with_its_first_moment_and_ends_before_its_last(saver: SQLAlchemySaver) -> None:
    rows = await world(saver)
    second = timedelta(microseconds=1)
    edges = [None, moment(10), moment(10) + second, moment(10) - second, moment(20), moment(20) + second, moment(100)]
    for after, before in product(edges, edges):
        for more in ({}, {"config": config("t2")}, {"filter": {"kind": "odd"}}, {"config": config("t2"), "filter": {"kind": "odd"}}):
            how: dict[str, Any] = {"config": None, **more, "created_after": after, "created_before": before}
            assert listed(await saver.alist(**how)) == expected_of(rows, how), how
            assert listed(list(saver.list(**how))) == expected_of(rows, how), how


async def test_moments_are_in_utc_unless_they_say_otherwise(saver: SQLAlchemySaver) -> None:
    rows = await world(saver)
    there = timezone(timedelta(hours=5, minutes=30))
    for after, before in ((moment(10), moment(13)), (moment(0), moment(1))):
        expected = expected_of(rows, {"created_after": after, "created_before": before})
        naive: dict[str, Any] = {"created_after": after.replace(tzinfo=None), "created_before": before.replace(tzinfo=None)}
        elsewhere: dict[str, Any] = {"created_after": after.astimezone(there), "created_before": before.astimezone(there)}
        assert listed(await saver.alist(None, **naive)) == listed(await saver.alist(None, **elsewhere)) == expected != []


async def test_every_moment_that_python_knows_can_be_asked_for(saver: SQLAlchemySaver) -> None:
    await put(saver, config("t"))
    assert len(await saver.alist(None, created_after=datetime.min, created_before=datetime.max)) == 1


@pytest.mark.parametrize("wrong", ["2026-01-01", 1767225600, 1.5, date(2026, 1, 1), timedelta(days=1), True], ids=repr)
@pytest.mark.parametrize("name", ["created_after", "created_before"])
def test_what_is_no_moment_is_refused_by_name(name: str, wrong: Any) -> None:
    with SQLAlchemySaver.from_conn_string(":memory:") as saver, pytest.raises(InvalidConfig, match=f"{name} must be a datetime"):
        saver.alist(None, **{name: wrong})


# --- keys and values ----------------------------------------------------------------------------------------------------

STRANGE_TEXTS = [
    "a\0b", "\0", "a\ud800b", "\udfff", "\ud83d\ude00", "", " ", "a.b", "a/b", "/", "~", "~0", "~1", "~2", "a~2/b", "'", '"', "\\", "%",
    "_", "$eq", "$", "a$b", "#", "\n", "\x01", "\x7f", "\U0010ffff", "é", "e\u0301", "ß", "A", "a", "None", "null", "true", "1", "{}", "[]",
    ":x", "x" * 201,
]  # fmt: skip


async def test_any_text_is_found_by_the_filter_that_it_was_put_with(saver: SQLAlchemySaver) -> None:
    for strange in STRANGE_TEXTS:
        await assert_found_again(saver, strange)
        await saver.adelete_thread("t")


async def assert_found_again(saver: SQLAlchemySaver, strange: str) -> None:
    await put(saver, config("t"), value=strange, **dict[str, Any]({f"k{strange}": 1, strange: 2}))
    await put(saver, config("t"), entries=[strange], nested={strange: {strange: strange}, "list": [{strange: [strange]}]})
    await put(saver, config("t"), value="else", k=1, nested={"else": 1})
    shapes: list[dict[str, Any]] = [
        {"value": strange},
        {"value": {"$eq": strange}},
        {"value": {"$in": ["nobody", strange, strange]}},
        {"value": {"$gte": strange, "$lte": strange}},
        {"value": strange, f"k{strange}": 1},
        {"entries": [strange]},
    ]
    # A name that begins with a dollar is an operator.
    shapes += (
        []
        if strange.startswith("$")
        else [{strange: 2}, {"nested": {strange: {strange: strange}}}, {"nested": {"list": [{strange: [strange]}]}}]
    )
    for wanted in shapes:
        assert len(await saver.alist(None, filter=wanted)) == 1, wanted
        assert len(await saver.alist(config("t"), filter=wanted, limit=1)) == 1, wanted
    assert len(await saver.alist(None, filter={"value": {"$ne": strange}})) == 2


WORDS_OF_VALUES = ["1", "0", "True", "true", "None", "null", "", "3", "3.0"]
LOOKALIKES = [True, False, 1, 0, 1.0, 0.0, -0.0, None, 3, 3.0, 2**53, 2**53 + 1, 2.0**53, *WORDS_OF_VALUES]


async def test_values_that_look_alike_are_distinguished(saver: SQLAlchemySaver) -> None:
    for n, value in enumerate(LOOKALIKES):
        await put(saver, config("t"), step=n, value=value)
    for wanted in LOOKALIKES:
        same = [n for n, value in enumerate(LOOKALIKES) if model(value, wanted)]
        for shape in (wanted, {"$eq": wanted}, {"$in": [wanted]}):
            assert [c.metadata["step"] for c in await saver.alist(None, filter={"value": shape})] == same[::-1]
        others = [n for n in range(len(LOOKALIKES)) if n not in same]
        assert [c.metadata["step"] for c in await saver.alist(None, filter={"value": {"$ne": wanted}})] == others[::-1]


async def test_a_null_that_is_there_is_not_one_that_is_missing(saver: SQLAlchemySaver) -> None:
    await put(saver, config("t"), user=None, deep={"user": None})
    await put(saver, config("t"))
    for wanted in (None, {"$exists": True}, {"$exists": False}, {"$ne": None}, {"$in": [None]}):
        assert len(await saver.alist(None, filter={"user": wanted})) == 1
    assert len(await saver.alist(None, filter={"deep": {"user": None}})) == 1
    assert await saver.alist(None, filter={"deep": None}) == []


HOSTILE = [
    "'; DROP TABLE ckpt_tag; --",
    '"; DROP TABLE ckpt_tag; --',
    "' OR '1'='1",
    "x' UNION SELECT * FROM ckpt_setting --",
    "%(source_key)s",
    "$1",
    "?1",
    "%",
    "{0}",
    "\\'; SELECT 1; --",
    "*",
]


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_no_text_of_a_caller_becomes_a_statement(saver: SQLAlchemySaver, hostile: str) -> None:
    rows = await world(saver)
    made = checkpoint({"a": 1}, id=f"0{hostile}")
    key = f"k{hostile}" if hostile.startswith("$") else hostile
    where = await saver.aput(config(hostile, checkpoint_ns=hostile), made, metadata_of(0, **{key: hostile}), made["channel_versions"])
    assert where["configurable"]["checkpoint_id"] == f"0{hostile}"
    tags = tag_rows(saver)
    shapes: list[Any] = [hostile, {"$in": [hostile, f"{hostile}'"]}, {"$in": [f"{hostile}{n}" for n in range(12)] + [hostile]}]
    shapes += [{"$gte": hostile, "$lte": hostile}, {"$eq": hostile}]
    for shape in shapes:
        assert listed(await saver.alist(None, filter={key: shape})) == [f"0{hostile}"]
        assert [thread.thread_id for thread in await saver.alist_threads(filter={key: shape})] == [hostile]
        assert await saver.alist(None, filter={key: shape, "kind": hostile}) == []
    assert listed(await saver.alist(config(hostile, checkpoint_ns=hostile))) == [f"0{hostile}"]
    assert listed(await saver.alist(where)) == [f"0{hostile}"]
    assert listed(await saver.alist(None, before=config("t", f"0{hostile}"))) == []
    assert await saver.alist(config("t1", checkpoint_ns=hostile)) == []
    for wrong in ({"limit": hostile}, {"created_after": hostile}, {"created_before": hostile}):
        with pytest.raises(InvalidConfig):
            saver.alist(None, **wrong)  # type: ignore[arg-type]
    await saver.adelete_for_runs([hostile])
    assert tag_rows(saver) == tags
    await saver.adelete_thread(hostile)
    assert listed(await saver.alist(None)) == [row.checkpoint_id for row in rows]


# --- a listing beside others, and its price -------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [[{"$in": ["a", "b"]}], [{"x": {"$in": [1, 2]}}]], ids=str)
async def test_a_checkpoint_that_matches_twice_is_listed_once(saver: SQLAlchemySaver, wanted: list[Any]) -> None:
    for _ in range(3):
        await put(saver, config("t"), labels=["a", "b", {"x": 1}, {"x": 2}])
    ids = listed(await saver.alist(None))
    for limit in (None, 1, 2, 3):
        assert listed(await saver.alist(None, filter={"labels": wanted}, limit=limit)) == ids[:limit]
