"""Filters by metadata: our answers are those of a model so simple that it can be read at a glance."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import product
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidConfig, SerializationFailed
from ckptstore.reads import checkpoints as reads
from ckptstore.reads import planner as search
from ckptstore.reads.planner import PagePlan
from ckptstore.records import Posting
from ckptstore.store import listing as store_listing
from ckptstore.tags.conditions import ValueRange
from ckptstore.tags.encoding import encode_value as _encoded
from ckptstore.tags.encoding import postings, to_json
from ckptstore.tags.filters import Filter
from tests.support.build import chain, checkpoint, config, put
from tests.support.build import metadata as metadata_of
from tests.support.faults import reported_statements
from tests.support.filter_model import FILTERS, METADATA, model
from tests.support.rows import tag_rows

# --- the model: what a filter means, without an index -------------------------------------------------------------------


def within(span: ValueRange, posting: Posting) -> bool:
    inside = posting.key == span.key and span.low <= posting.value < span.high
    return inside or (span.include_nested and posting.key.startswith(f"{span.key}/"))


def conditions_hold(parsed: Filter, found: frozenset[Posting]) -> bool:
    """What the index can say, without an index."""
    return (
        all(any(Posting(one.key, value) in found for value in one.values) for one in parsed.required)
        and all(any(within(span, posting) for posting in found) for span in parsed.spans)
        and not any(posting in found for posting in parsed.forbidden)
    )


@given(METADATA, FILTERS)
@settings(max_examples=500)
def test_the_exact_test_agrees_with_the_model_and_the_index_says_no_less(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    parsed = Filter.parse(wanted)
    expected = all(model(found.get(key, ...), value) for key, value in wanted.items())
    assert parsed.matches(found) == expected
    if expected:
        assert conditions_hold(parsed, postings(found))
    if parsed.exact:
        assert conditions_hold(parsed, postings(found)) == expected


@given(st.lists(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.integers(2**52, 2**70)), min_size=2))
def test_encoded_numbers_sort_as_numbers(numbers: list[Any]) -> None:
    for one in numbers:
        for other in numbers:
            assert (_encoded(one) < _encoded(other)) == (one < other)
            assert (_encoded(one) == _encoded(other)) == (one == other)


@given(METADATA)
def test_metadata_is_json_that_every_database_takes(metadata: dict[str, Any]) -> None:
    assert "\\u0000" not in to_json({**metadata, "n": "\0", "deep": [{"\0": "\0"}]})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_word_for_is_null(value: float) -> None:
    assert to_json({"a": [value]}) == '{"a":[null]}'


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(METADATA, min_size=1, max_size=12), st.lists(FILTERS, min_size=1, max_size=12))
def test_every_answer_is_the_models(url: str, written: list[dict[str, Any]], filters: list[dict[str, Any]]) -> None:
    async def run() -> None:
        async with SQLAlchemySaver.from_conn_string(url) as saver:
            for listed in {c.config["configurable"]["thread_id"] for c in await saver.alist(None)}:
                await saver.adelete_thread(listed)
            for n, metadata in enumerate(written):
                await put(saver, config(f"t{n % 3}"), **{"step": n}, **{f"m{key}": value for key, value in metadata.items()})
            everything = await saver.alist(None)
            for wanted in filters:
                prefixed = {f"m{key}": value for key, value in wanted.items()}
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
        for posting in postings(dict(c.metadata))
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


async def test_what_only_metadata_can_decide_is_looked_up_page_by_page(saver: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "_LOOKED_AT", 7)
    monkeypatch.setattr(reads, "_LOOKS", 2)
    await chain(saver, "t", 50)
    found = await saver.alist(None, filter={"nothing": {"$exists": False}, "step": {"$ne": 30}}, limit=30)
    assert [c.metadata["step"] for c in found] == [step for step in range(49, 18, -1) if step != 30]
    found = await saver.alist(None, filter={"parents": {}, "step": {"$lt": 2}}, limit=1)
    assert [c.metadata["step"] for c in found] == [1]


def test_a_number_that_json_can_not_write_is_said() -> None:
    with pytest.raises(SerializationFailed, match="number"):
        to_json({"n": 10**5000})


# --- whatever index leads, over several pages ---------------------------------------------------------------------------

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class Row(NamedTuple):
    """A checkpoint of the model."""

    checkpoint_id: str
    thread_id: str
    checkpoint_ns: str
    created_at: datetime
    metadata: dict[str, Any]


def ticks() -> Iterator[datetime]:
    """A minute apart."""
    moment = BEGINNING
    while True:
        yield moment
        moment += timedelta(minutes=1)


async def world(saver: SQLAlchemySaver) -> list[Row]:
    """Threads whose checkpoints differ in all that can be searched by: the model's, newest first."""
    rows, moments = [], ticks()
    for n in range(48):
        moment = next(moments)
        saver.clock = lambda moment=moment: moment  # type: ignore[misc]
        more: dict[str, Any] = {"user": f"u{n % 13}", "kind": "odd" if n % 2 else "even", "score": n / 2}
        more |= {"rare": "yes"} if n in {5, 30} else {}
        more |= {"deep": {"n": n, "same": True}} if n % 16 == 3 else {}
        more |= {"labels": ["a", f"b{n % 3}"]} if n % 4 else {}
        where = config(f"t{n % 5}", checkpoint_ns="sub" if n % 7 == 0 else "")
        stored = (await put(saver, where, {"n": n}, n, **more))["configurable"]
        found = {**metadata_of(n), **more}
        rows.append(Row(stored["checkpoint_id"], stored["thread_id"], stored["checkpoint_ns"], moment, found))
    return sorted(rows, reverse=True)


def expected_of(rows: list[Row], how: dict[str, Any]) -> list[str]:
    """The model's answer to a listing."""
    where = (how.get("config") or {}).get("configurable", {})
    before = (how.get("before") or {}).get("configurable", {}).get("checkpoint_id")
    found = [
        row.checkpoint_id
        for row in rows
        if all(getattr(row, name) == where[name] for name in ("thread_id", "checkpoint_ns", "checkpoint_id") if name in where)
        and (before is None or row.checkpoint_id < before)
        and (how.get("created_after") is None or row.created_at >= how["created_after"])
        and (how.get("created_before") is None or row.created_at < how["created_before"])
        and all(model(row.metadata.get(key, ...), value) for key, value in (how.get("filter") or {}).items())
    ]
    return found[: how.get("limit")]


def listed(found: list[Any]) -> list[str]:
    return [c.checkpoint["id"] for c in found]


async def assert_answers(saver: SQLAlchemySaver, rows: list[Row], **how: Any) -> None:
    """The listing gives what the model gives, with every limit."""
    for limit in (None, 0, 1, 2, 3, 4, 7):
        limited = {"config": None, **how, "limit": limit}
        assert listed(await saver.alist(**limited)) == expected_of(rows, limited), limited


def spy(monkeypatch: pytest.MonkeyPatch) -> list[PagePlan]:
    """The plans of all pages."""
    made: list[PagePlan] = []
    plan: Callable[..., PagePlan] = reads.plan_page

    def note(*args: Any) -> PagePlan:
        made.append(plan(*args))
        return made[-1]

    monkeypatch.setattr(reads, "plan_page", note)
    return made


def moment(minutes: int) -> datetime:
    return BEGINNING + timedelta(minutes=minutes)


LEADS: list[tuple[str, dict[str, Any]]] = [
    ("checkpoints", {}),
    ("checkpoints", {"config": {"configurable": {"thread_id": "t1"}}}),
    ("checkpoints", {"config": config("t0", checkpoint_ns="sub"), "filter": {"kind": "even"}}),
    ("checkpoints", {"filter": {"user": {"$ne": "u3"}, "kind": {"$ne": "odd"}}}),
    ("checkpoints", {"filter": {"rare": {"$exists": False}}}),
    ("checkpoints", {"filter": {"parents": {}}}),
    ("tags", {"filter": {"kind": "odd"}}),
    ("tags", {"filter": {"rare": "yes", "kind": "odd"}}),
    ("tags", {"filter": {"user": {"$in": ["u1", "u2", "u2", "u7"]}, "kind": "odd"}}),
    ("tags", {"filter": {"user": {"$in": ["u1", "nobody"]}, "kind": {"$ne": "odd"}}}),
    ("tags", {"filter": {"labels": ["a", "b2"], "score": {"$gt": 3}}}),
    ("tags", {"filter": {"rare": "yes"}, "created_after": BEGINNING}),
    ("list", {"filter": {"user": {"$in": [f"u{n}" for n in (*range(9), 0, 1)]}, "source": "loop"}}),
    ("span", {"filter": {"user": {"$in": [f"u{n}" for n in range(12)]}, "kind": {"$in": ["odd", "strange"]}, "score": {"$lt": 9.5}}}),
    ("span", {"filter": {"score": {"$gte": 20}, "source": "loop"}}),
    ("span", {"filter": {"score": {"$gt": 1, "$lte": 3}, "kind": {"$ne": "odd"}}}),
    ("span", {"filter": {"user": {"$lt": "u10"}, "source": "loop"}}),
    ("span and below", {"filter": {"deep": {"$exists": True}}}),
    ("span and below", {"filter": {"deep": {"$exists": True}, "labels": {"$exists": True}, "kind": "odd"}}),
    ("tags", {"filter": {"labels": {"$exists": True}, "source": "loop"}}),
    ("time", {"created_after": moment(40)}),
    ("time", {"created_before": moment(7)}),
    ("time", {"created_after": moment(10), "created_before": moment(20), "filter": {"source": "loop"}}),
    ("time", {"created_after": moment(10), "created_before": moment(20), "filter": {"source": "loop", "kind": {"$in": ["odd", "even"]}}}),
    ("time", {"created_after": moment(10), "created_before": moment(20), "filter": {"rare": {"$exists": False}, "kind": {"$ne": "odd"}}}),
]


@pytest.mark.parametrize(("lead", "how"), LEADS, ids=lambda value: value if isinstance(value, str) else "-".join(value))
async def test_every_lead_gives_the_models_answer(url: str, lead: str, how: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_listing, "_PAGE_SIZE", 3)
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        rows = await world(saver)
        plans = spy(monkeypatch)
        await assert_answers(saver, rows, **how)
        assert {plan.shape.lead for plan in plans} == {lead}
        for at in (0, 9, 47):
            await assert_answers(saver, rows, **how, before=config("any", rows[at].checkpoint_id))


FILTERS_OF_THE_WORLD: list[dict[str, Any]] = [
    {},
    {"kind": "odd"},
    {"kind": "odd", "user": "u3"},
    {"kind": "odd", "user": "u3", "source": "loop", "step": 3},
    {"kind": "odd", "nothing": "at all"},
    {"user": {"$in": []}},
    {"user": {"$in": ["u1"]}},
    {"user": {"$in": ["u1", "u2", "u3"]}},
    {"user": {"$in": ["u1", "u1", "u2", 1, None, True, "nobody"]}},
    {"user": {"$in": [f"u{n}" for n in range(12)]}},
    {"user": {"$in": [*(f"u{n}" for n in range(12)), "u1", "u2"]}, "kind": {"$in": ["odd", "even"]}},
    {"user": {"$in": ["u1", "u2"]}, "score": {"$gte": 3, "$lt": 20}},
    {"user": {"$in": [f"u{n}" for n in range(12)]}, "score": {"$gte": 3}, "kind": {"$ne": "odd"}},
    {"user": {"$in": ["u1", "u2"], "$ne": "u2"}},
    {"rare": {"$exists": True}, "user": {"$in": ["u5", "u4"]}},
    {"rare": {"$exists": False}, "user": {"$in": ["u5", "u4"]}},
    {"labels": ["a"], "user": {"$in": ["u5", "u4"]}},
    {"labels": [], "user": {"$ne": "u5"}},
    {"deep": {"same": True}},
    {"deep": {"n": {"$gt": 3}}, "kind": {"$in": ["odd"]}},
    {"deep": {}},
    {"score": 7, "kind": "even"},
    {"score": {"$in": [7, 7.0, 7.5]}},
]


@pytest.mark.parametrize("bound", [3, 1000], ids=["common", "rare"])
async def test_filters_with_all_that_restricts_a_listing_give_the_models_answer(
    url: str, bound: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_listing, "_PAGE_SIZE", 3)
    monkeypatch.setattr(search, "_COUNT_BOUND", bound)
    monkeypatch.setattr(search, "_DEPTH", 2)
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        rows = await world(saver)
        places = [None, {"configurable": {"thread_id": "t3"}}, config("t0"), {"configurable": {"checkpoint_ns": "sub"}}]
        windows = [{}, {"created_after": moment(8), "created_before": moment(41)}]
        for wanted, where, window in product(FILTERS_OF_THE_WORLD, places, windows):
            for before in (None, config("any", rows[11].checkpoint_id)):
                how: dict[str, Any] = {"config": where, "filter": wanted, "before": before, **window}
                assert listed(await saver.alist(**how)) == expected_of(rows, how), how
                how["limit"] = 4
                assert listed(await saver.alist(**how)) == expected_of(rows, how), how


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
        naive = {"created_after": after.replace(tzinfo=None), "created_before": before.replace(tzinfo=None)}
        elsewhere = {"created_after": after.astimezone(there), "created_before": before.astimezone(there)}
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
    await put(saver, config("t"), value=strange, **{f"k{strange}": 1, strange: 2})
    await put(saver, config("t"), entries=[strange], nested={strange: {strange: strange}, "list": [{strange: [strange]}]})
    await put(saver, config("t"), value="else", k=1, nested={"else": 1})
    shapes: list[dict[str, Any]] = [
        {"value": strange},
        {"value": {"$eq": strange}},
        {"value": {"$in": ["nobody", strange, strange]}},
        {"value": {"$gte": strange, "$lte": strange}},
        {"value": strange, f"k{strange}": 1},
        {strange: 2},
        {"entries": [strange]},
    ]
    # Within a dict a name that begins with a dollar is an operator.
    shapes += [] if strange.startswith("$") else [{"nested": {strange: {strange: strange}}}, {"nested": {"list": [{strange: [strange]}]}}]
    for wanted in shapes:
        assert len(await saver.alist(None, filter=wanted)) == 1, wanted
        assert len(await saver.alist(config("t"), filter=wanted, limit=1)) == 1, wanted
    assert len(await saver.alist(None, filter={"value": {"$ne": strange}})) == 2


WORDS_OF_VALUES = ["1", "0", "True", "true", "None", "null", "", "3", "3.0"]
LOOKALIKES = [True, False, 1, 0, 1.0, 0.0, -0.0, None, 3, 3.0, 2**53, 2**53 + 1, 2.0**53, *WORDS_OF_VALUES]


async def test_values_that_look_alike_are_told_apart(saver: SQLAlchemySaver) -> None:
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
    "%(lead_key)s",
    "$1",
    "?1",
    "%",
    "{0}",
    "\\'; SELECT 1; --",
    "*",
]


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_nothing_that_a_caller_says_becomes_a_statement(saver: SQLAlchemySaver, hostile: str) -> None:
    rows = await world(saver)
    made = checkpoint({"a": 1}, id=f"0{hostile}")
    where = await saver.aput(config(hostile, checkpoint_ns=hostile), made, metadata_of(0, **{hostile: hostile}), made["channel_versions"])
    assert where["configurable"]["checkpoint_id"] == f"0{hostile}"
    tags = tag_rows(saver)
    shapes: list[Any] = [hostile, {"$in": [hostile, f"{hostile}'"]}, {"$in": [f"{hostile}{n}" for n in range(12)] + [hostile]}]
    shapes += [{"$gte": hostile, "$lte": hostile}, {"$eq": hostile}]
    for shape in shapes:
        assert listed(await saver.alist(None, filter={hostile: shape})) == [f"0{hostile}"]
        assert [thread.thread_id for thread in await saver.alist_threads(filter={hostile: shape})] == [hostile]
        assert await saver.alist(None, filter={hostile: shape, "kind": hostile}) == []
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


PAUSED: list[dict[str, Any]] = [{}, {"kind": "chat"}, {"parents": {}}, {"kind": {"$in": ["chat", "x"]}}, {"step": {"$gte": 0}}]


@pytest.mark.parametrize("wanted", PAUSED, ids=str)
async def test_a_paused_listing_holds_up_nobody_and_goes_on(
    saver: SQLAlchemySaver, wanted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_listing, "_PAGE_SIZE", 2)
    monkeypatch.setattr(reads, "_LOOKED_AT", 3)
    for thread_id in ("stays", "deleted", "pruned", "also stays"):
        await chain(saver, thread_id, 4, kind="chat")
    expected = [c.config for c in await saver.alist(None, filter=wanted)]
    listing = saver.alist(None, filter=wanted)
    paused = saver.list(None, filter=wanted)
    found = [(await anext(listing)).config]
    assert next(paused).config == found[0]
    await asyncio.gather(chain(saver, "new", 3, kind="chat"), saver.adelete_thread("deleted"), saver.aprune(["pruned"]))
    found += [c.config async for c in listing]
    gone = [where for where in expected if where not in [c.config for c in await saver.alist(None)]]
    assert len(gone) == 7
    assert found == [where for where in expected if where not in gone]
    assert [c.config for c in paused] == found[1:]


async def test_the_statements_of_a_page_do_not_grow_with_what_it_holds(saver: SQLAlchemySaver) -> None:
    async def statements(**how: Any) -> int:
        run: list[str] = []
        with reported_statements(saver, lambda when, statement: run.append(statement) if when == "before" else None):
            listing = saver.alist_threads if how.pop("threads", False) else saver.alist
            found = await listing(**how)  # type: ignore[operator]
        assert len(found) == size
        return len(run)

    several = {"kind": {"$in": ["x", "y"]}}
    wanted = [{"kind": "x"}, {"kind": "x", "source": "loop"}, several, {"n": {"$gte": 0}, "kind": "x"}, {"parents": {}}]
    asked: list[dict[str, Any]] = [{"config": None, "filter": each} for each in wanted]
    asked += [{"config": None}, {"config": None, "created_after": BEGINNING}]
    asked += [{"threads": True}, {"threads": True, "filter": {"kind": "x"}}, {"threads": True, "filter": {"parents": {}}}]
    counts = []
    for size in (10, 60):
        for n in range(len(await saver.alist(None)), size):
            where = await put(saver, config(f"t{n}"), {"n": n, "text": "x" * 500}, kind="x", n=n)
            await saver.aput_writes(where, [("n", n)], "task")
        counts.append([await statements(**dict(how)) for how in asked])
    assert counts[0] == counts[1]
    assert max(counts[0]) <= 5


@pytest.mark.parametrize("wanted", [[{"$in": ["a", "b"]}], [{"x": {"$in": [1, 2]}}]], ids=str)
async def test_a_checkpoint_that_matches_twice_is_listed_once(saver: SQLAlchemySaver, wanted: list[Any]) -> None:
    for _ in range(3):
        await put(saver, config("t"), labels=["a", "b", {"x": 1}, {"x": 2}])
    ids = listed(await saver.alist(None))
    for limit in (None, 1, 2, 3):
        assert listed(await saver.alist(None, filter={"labels": wanted}, limit=limit)) == ids[:limit]
