"""Filters by metadata: our answers are those of a model so simple that it can be read at a glance."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckptstore import SQLAlchemySaver, reads
from ckptstore.errors import SerializationFailed
from ckptstore.filters import Filter
from ckptstore.records import Posting, Span
from ckptstore.statements import TAG
from ckptstore.tags import encoded as _encoded
from ckptstore.tags import postings, to_json
from tests.build import chain, config, put

# --- the model: what a filter means, without an index -------------------------------------------------------------------


def model(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict) and any(name.startswith("$") for name in wanted):
        return all(compare(found, name, operand) for name, operand in wanted.items())
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(model(found.get(key, ...), inner) for key, inner in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and all(any(model(item, inner) for item in found) for inner in wanted)
    return type(found is True or found is False) is bool and isinstance(found, bool) == isinstance(wanted, bool) and found == wanted


def compare(found: Any, name: str, operand: Any) -> bool:
    if name in ("$eq", "$ne"):
        return model(found, operand) == (name == "$eq")
    if name == "$in":
        return any(model(found, item) for item in operand)
    if name == "$exists":
        return (found is not ...) == operand
    if isinstance(found, bool) or not isinstance(found, str if isinstance(operand, str) else (int, float)):
        return False
    return {"$gt": found > operand, "$gte": found >= operand, "$lt": found < operand, "$lte": found <= operand}[name]


WORDS = st.sampled_from(["a", "b", "a.b", "a/b", "~", "x" * 300, "x" * 299 + "y", "", "'"])
NUMBERS = st.sampled_from([0, 1, -1, 1.0, 1.5, 2**53, 2**53 + 1, -(2**63), 10**40, 1e300, -0.0, 0.1])
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, WORDS)
JSON = st.recursive(SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)), max_leaves=6)
METADATA = st.dictionaries(WORDS, JSON, max_size=4)
ORDERABLE = st.one_of(NUMBERS, WORDS)
OPERATORS = st.one_of(
    st.builds(lambda v: {"$eq": v}, JSON),
    st.builds(lambda v: {"$ne": v}, SCALARS),
    st.builds(lambda v: {"$in": v}, st.lists(SCALARS, max_size=3)),
    st.builds(lambda v: {"$exists": v}, st.booleans()),
    st.builds(lambda n, v: {n: v}, st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), ORDERABLE),
    st.builds(lambda a, b: {"$gte": a, "$lt": b}, NUMBERS, NUMBERS),
)
FILTERS = st.dictionaries(WORDS, st.one_of(JSON, OPERATORS), max_size=3)


def within(span: Span, posting: Posting) -> bool:
    inside = posting.key == span.key and span.low <= posting.value < span.high
    return inside or (span.below and posting.key.startswith(f"{span.key}/"))


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


def tag_rows(saver: SQLAlchemySaver) -> set[tuple[Any, ...]]:
    return {tuple(row) for row in saver.store.database.read(lambda connection: connection.execute(TAG.select()).all()).result()}


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
