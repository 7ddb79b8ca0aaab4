"""What users of other savers are used to, and what finds nothing for ever: never a silent nothing."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver

from ckptstore import RetentionPolicy, SQLAlchemySaver, TagKeys
from ckptstore.errors import InvalidFilter, KeyNotIndexed
from tests.support.build import checkpoint, config, metadata, put
from tests.support.scalars import NUMBERS, TEXTS, Stage


async def threads(saver: SQLAlchemySaver, wanted: Any) -> list[str]:
    """The threads of a listing, which a listing of threads finds too."""
    found = sorted({c.config["configurable"]["thread_id"] for c in await saver.alist(None, filter=wanted)})
    assert sorted(each.thread_id for each in await saver.alist_threads(filter=wanted)) == found
    return found


async def test_a_dotted_key_finds_nested_metadata_until_some_checkpoint_has_that_key(saver: SQLAlchemySaver) -> None:
    await put(saver, config("nested"), user={"name": "ann", "deep": {"er": 1}})
    await put(saver, config("other"), user={"name": "bob", "age": 3})
    assert await threads(saver, {"user.name": "ann"}) == ["nested"]
    assert await threads(saver, {"user.name": {"$in": ["ann", "bob"]}, "user.age": {"$gt": 2}}) == ["other"]
    assert await threads(saver, {"user.name": {"$ne": "ann"}}) == ["other"]
    assert await threads(saver, {"user.deep": {"er": 1}, "user": {"name": "ann"}}) == ["nested"]
    assert await threads(saver, {"user.deep.er": 1}) == ["nested"]
    await put(saver, config("literal"), **dict[str, Any]({"user.name": "ann"}))
    assert await threads(saver, {"user.name": "ann"}) == ["literal"]
    assert await threads(saver, {"user": {"name": "ann"}}) == ["nested"]


@pytest.mark.parametrize("key", [".", "a.", ".a", "a..b"])
async def test_a_dot_at_an_edge_is_only_a_dot(saver: SQLAlchemySaver, key: str) -> None:
    await put(saver, config("t"), **dict[str, Any]({key: 1}))
    assert await threads(saver, {key: 1}) == ["t"]
    assert await threads(saver, {f"{key}.": 1}) == []


async def test_a_policy_keeps_what_either_meaning_of_a_dotted_key_matches(saver: SQLAlchemySaver) -> None:
    await put(saver, config("nested"), keep={"me": True})
    await put(saver, config("literal"), **dict[str, Any]({"keep.me": True}))
    await put(saver, config("neither"), keep={"me": False})
    await saver.aprune_by(RetentionPolicy.from_dict({"max_age": 0, "keep_tags": {"keep.me": True}}))
    assert await threads(saver, {"source": "loop"}) == ["literal", "nested"]


async def test_a_key_that_no_checkpoint_ever_had_is_logged_once(saver: SQLAlchemySaver, caplog: pytest.LogCaptureFixture) -> None:
    await put(saver, config("t"), user={"name": "ann"}, kind="x")
    for _ in range(2):
        for wanted in (
            {"knid": "x", "kind": "x"},
            {"user": {"nmae": "ann"}},
            {"user.nmae": "ann"},
            {"kind": "y"},
            {"user": {"name": "bob"}},
        ):
            assert await threads(saver, wanted) == []
            assert await saver.alist(config("t"), filter=wanted, limit=1) == []
    assert [record.__dict__["key"] for record in caplog.records if record.__dict__.get("event") == "unknown_key"] == ["knid", "user/nmae"]
    # Another test of this process may have let Alembic log.
    assert not [record for record in caplog.records if record.name.startswith("ckptstore") and "ann" in record.getMessage()]


async def test_an_operator_in_the_place_of_a_key_is_refused(saver: SQLAlchemySaver) -> None:
    wrong: Any
    for wrong in ({"$or": [{"a": 1}]}, {"$and": []}, {"$eq": 1}):
        with pytest.raises(InvalidFilter, match="below a metadata key"):
            saver.alist(None, filter=wrong)
        with pytest.raises(InvalidFilter, match="below a metadata key"):
            saver.alist_threads(filter=wrong)


async def test_a_dotted_key_that_is_not_indexed_is_refused(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url, tag_keys=TagKeys(exclude=("user",))) as saver:
        await put(saver, config("t"), user={"name": "ann"})
        with pytest.raises(KeyNotIndexed, match="user"):
            await saver.alist(None, filter={"user.name": "ann"})


async def test_more_runs_than_a_filter_takes_are_deleted(saver: SQLAlchemySaver) -> None:
    await put(saver, config("t"), run_id="r")
    await saver.adelete_for_runs([*map(str, range(10_001)), "r"])
    assert await saver.alist(None) == []


async def test_a_member_of_an_enumeration_is_found_by_its_value(saver: SQLAlchemySaver) -> None:
    await put(saver, config("draft"), stage=Stage.DRAFT, many=[Stage.DRAFT])
    await put(saver, config("final"), stage="a", many=["a"])
    for shape in (Stage.DRAFT, "draft", {"$eq": Stage.DRAFT}, {"$in": [Stage.DRAFT]}, {"$ne": Stage.FINAL}, {"$gt": Stage.FINAL}):
        assert await threads(saver, {"stage": shape}) == ["draft"], shape
    assert await threads(saver, {"many": [Stage.DRAFT]}) == ["draft"]


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.one_of(NUMBERS, TEXTS), min_size=1, max_size=8))
def test_equal_values_are_found_as_by_langgraphs_own_saver(url: str, values: list[Any]) -> None:
    # msgpack has no larger numbers, no other subclasses, and no lone surrogates; there NUL is removed only from what is stored.
    values = [value for value in values if isinstance(value, Enum) or type(value) in (str, int, float)]
    values = [value for value in values if isinstance(value, str) or abs(value) < 2**63]
    values = [value for value in values if not isinstance(value, str) or not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)]
    theirs = InMemorySaver()
    with SQLAlchemySaver.from_conn_string(url) as ours:
        for each in list(ours.list_threads()):
            ours.delete_thread(each.thread_id)
        for n, value in enumerate(values):
            made = checkpoint()
            for saver in (ours, theirs):
                saver.put(config(f"t{n}"), made, metadata(n, value=value), {})
        for wanted in values:
            found, expected = ({c.metadata["step"] for c in saver.list(None, filter={"value": wanted})} for saver in (ours, theirs))
            assert found == expected, wanted


@pytest.mark.parametrize("also", [{}, {"other": {"$exists": False}}], ids=["by the index", "by the metadata"])
async def test_a_nested_key_that_nothing_has_is_absent(saver: SQLAlchemySaver, also: dict[str, Any]) -> None:
    written: dict[str, Any] = {"scalar": {"a": 5}, "empty": {"a": {}}, "other": {"a": {"b": 2}}, "same": {"a": {"b": 1}}}
    for thread_id, more in (written | {"without": {}}).items():
        await put(saver, config(thread_id), **more)
    for wanted in (dict[str, Any]({"a.b": {"$ne": 1}}), {"a": {"b": {"$ne": 1}}}):
        assert await threads(saver, wanted | also) == ["empty", "other", "scalar", "without"]
    assert await threads(saver, {"a.b": {"$exists": False}, **also}) == ["empty", "scalar", "without"]
    assert await threads(saver, {"a": {"b": 1}, **also}) == ["same"]
    assert await threads(saver, {"a": {}, **also}) == ["empty", "other", "same"]
