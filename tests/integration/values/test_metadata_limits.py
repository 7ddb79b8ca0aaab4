"""What is too much metadata, or too long an id, is refused before anything is written; what is stored already goes on."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from ckptstore import SizeLimits, SQLAlchemySaver, TagKeys
from ckptstore.errors import CheckpointTooLarge, InvalidConfig, InvalidPolicy, SerializationFailed
from ckptstore.langgraph.config import MAX_ID_BYTES
from ckptstore.tags.metadata_json import MAX_DEPTH
from tests.support.build import checkpoint, config, metadata, put
from tests.support.rows import tag_rows

NO_LIMITS = SizeLimits(max_metadata_bytes=None, max_tags=None)


def shared(levels: int) -> list[Any]:
    """Ten references to a list of ten references to ...: little memory, and 10 ** levels numbers as JSON."""
    inner: list[Any] = [1] * 10
    for _ in range(levels - 1):
        inner = [inner] * 10
    return inner


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else 1


TOO_MUCH: list[tuple[dict[str, Any], str]] = [
    ({"k": list(range(200_000)), "small": 1}, r"more than 262144 bytes; keys with the most: 'k' \d+, "),
    ({"k": list(range(1_200)), "l": ["x"]}, r"12\d\d tags, more than 1000; keys with the most: 'k' 1200, "),
    ({f"k{n}": n for n in range(1_001)}, "tags, more than 1000"),
    ({"text": "x" * 262_144}, "2[0-9]+ bytes, more than 262144 bytes; keys with the most: 'text' 262146"),
    ({"text": "é" * 131_072}, "more than 262144 bytes"),
    ({"k": shared(12)}, "more than 262144 bytes; keys with the most: 'k'"),
]


@pytest.mark.parametrize(("more", "says"), TOO_MUCH, ids=range(len(TOO_MUCH)))
async def test_too_much_metadata_is_refused_and_names_the_largest_key(saver: SQLAlchemySaver, more: dict[str, Any], says: str) -> None:
    where = config("t")
    where["metadata"] = more
    for attempt in (put(saver, config("t"), **more), saver.aput(where, checkpoint(), metadata(), {})):
        with pytest.raises(CheckpointTooLarge, match=says):
            await attempt
    assert await saver.alist(None) == []
    assert tag_rows(saver) == set()
    assert await saver.alist_threads() == []


async def test_metadata_up_to_the_limits_is_stored(saver: SQLAlchemySaver) -> None:
    await put(saver, config("t"), k=list(range(990)), text="x" * 100_000)
    assert len(await saver.alist(None, filter={"k": [989]})) == 1


async def test_keys_that_are_not_indexed_do_not_count_as_tags(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url, tag_keys=TagKeys(exclude=("k",))) as saver:
        await put(saver, config("t"), k=list(range(5_000)))
        assert len((await saver.alist(None))[0].metadata["k"]) == 5_000  # type: ignore[typeddict-item]


async def test_metadata_is_nested_only_as_deep_as_every_read_bears(saver: SQLAlchemySaver) -> None:
    await put(saver, config("t"), deep=nested(MAX_DEPTH))
    assert json.dumps((await saver.alist(None))[0].metadata["deep"]) == json.dumps(nested(MAX_DEPTH))  # type: ignore[typeddict-item]
    cycle: list[Any] = []
    cycle.append(cycle)
    for deep in (nested(MAX_DEPTH + 1), nested(600), cycle):
        with pytest.raises(SerializationFailed, match=r"metadata\['deep'\] is nested more than 100 levels"):
            await put(saver, config("t"), deep=deep)
    assert len(await saver.alist(None)) == 1


async def test_what_is_stored_beyond_the_limits_continues(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url, limits=NO_LIMITS) as saver:
        where = await put(saver, config("t"), {"a": [1]}, k=list(range(3_000)), text="x" * 300_000)
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        assert len(await saver.alist(None, filter={"k": [2_999]})) == 1
        await saver.acopy_thread("t", "copy")
        assert len(await saver.alist(None, filter={"k": [2_999]})) == 2
        await saver.arebuild_tags()
        found = await saver.aget_tuple(config("copy"))
        assert found is not None
        await put(saver, where, {"a": [1, 2]}, step=1)
        importing = saver.with_limits(NO_LIMITS)
        await importing.aput(config("imported"), found.checkpoint, found.metadata, found.checkpoint["channel_versions"])
        assert len(await saver.alist(None, filter={"k": [2_999]})) == 3
        await saver.aprune(["t"])
        await saver.adelete_thread("copy")
        assert len(await saver.alist(None)) == 2


# --- ids ----------------------------------------------------------------------------------------------------------------


def text_of(size: int, seed: int = 0) -> str:
    """A text of so many bytes that no database can compress."""
    return "".join(random.Random(seed).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=size))


LONG = text_of(MAX_ID_BYTES + 1)


async def test_an_id_that_is_too_long_is_refused_by_its_name_and_finds_nothing(saver: SQLAlchemySaver) -> None:
    made, wide = checkpoint({"a": [1]}), "é" * (MAX_ID_BYTES // 2 + 1)
    for long in (LONG, wide):
        attempts = {
            "thread_id": put(saver, config(long)),
            "checkpoint_ns": put(saver, config("t", checkpoint_ns=long)),
            "parent_id": put(saver, config("t", long)),
            "checkpoint_id": saver.aput(config("t"), checkpoint(id=long), metadata(), {}),
            "channel name": put(saver, config("t"), {long: [1]}),
            "version": saver.aput(config("t"), checkpoint({"a": [1]}, {"a": long}), metadata(), {"a": long}),
            "task id": saver.aput_writes(config("t", "c"), [("a", 1)], long),
            "task_path": saver.aput_writes(config("t", "c"), [("a", 1)], "task", long),
        }
        for name, attempt in attempts.items():
            with pytest.raises(InvalidConfig, match=f"the {name} has 102[56] bytes"):
                await attempt
        with pytest.raises(InvalidConfig, match="the thread_id has"):
            await saver.acopy_thread("t", long)
        assert await saver.aget_tuple(config(long)) is None
        assert await saver.alist(config(long)) == []
        await saver.adelete_thread(long)
        await saver.aprune([long])
    assert made["channel_values"] == {"a": [1]}
    assert await saver.alist(None) == []
    assert await saver.alist_threads() == []


async def test_ids_of_the_greatest_length_are_stored_with_their_tags(saver: SQLAlchemySaver) -> None:
    thread_id, ns = text_of(MAX_ID_BYTES, 1), text_of(MAX_ID_BYTES, 2)
    where = await put(saver, config(thread_id, checkpoint_ns=ns), {"a": [1]}, user="ann")
    await saver.aput_writes(where, [("a", [2])], text_of(400, 3), text_of(MAX_ID_BYTES, 4))
    await put(saver, config("t"), {text_of(MAX_ID_BYTES, 5): [1]})
    (found,) = await saver.alist(None, filter={"user": "ann"})
    assert found.config["configurable"]["thread_id"] == thread_id
    assert len(found.pending_writes or []) == 1


async def test_ids_that_fit_into_no_index_together_are_refused_on_every_database(saver: SQLAlchemySaver) -> None:
    where = config(text_of(MAX_ID_BYTES, 1), checkpoint_ns=text_of(MAX_ID_BYTES, 2))
    with pytest.raises(InvalidConfig, match="more than 2600 bytes together"):
        await saver.aput(where, checkpoint(id=text_of(700, 3)), metadata(), {})
    with pytest.raises(InvalidConfig, match="more than 2600 bytes together"):
        await put(saver, where, {text_of(700, 3): [1]})
    with pytest.raises(InvalidConfig, match="more than 2600 bytes together"):
        await saver.aput(where, checkpoint({text_of(700, 3): [1]}, {}), metadata(), {})
    with pytest.raises(CheckpointTooLarge, match=r"metadata\['key'\].*more than the 2600 of an index"):
        await put(saver, where, key="".join(random.Random(4).choices("\U0001f600\U0001f601\U0001f602\U0001f603", k=200)))
    assert await saver.alist(None) == []


WRONG_VERSIONS: list[tuple[Any, str]] = [("1\0", "NUL"), ("\ud800", "surrogate"), (None, "NoneType"), ([1], "list"), (10**5000, "digits")]


@pytest.mark.parametrize(("version", "says"), WRONG_VERSIONS, ids=range(len(WRONG_VERSIONS)))
async def test_a_version_that_no_database_takes_is_refused_with_its_channel(saver: SQLAlchemySaver, version: Any, says: str) -> None:
    with pytest.raises(InvalidConfig, match=f"version of channel 'a'.*{says}"):
        await saver.aput(config("t"), checkpoint({"a": [1]}, {"a": version}), metadata(), {"a": version})
    assert await saver.alist(None) == []


# --- settings -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["max_metadata_bytes", "max_tags"])
@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "1"], ids=repr)
def test_a_limit_is_a_whole_number_or_none(name: str, wrong: Any) -> None:
    with pytest.raises(InvalidPolicy, match=name):
        SizeLimits(**{name: wrong})


@pytest.mark.parametrize("wrong", [None, 5, {"max_tags": 3}], ids=repr)
def test_other_limits_and_keys_are_refused(wrong: Any) -> None:
    for name in ("limits", "tag_keys"):
        with pytest.raises(InvalidConfig, match=f"{name} must be a"):
            SQLAlchemySaver.from_conn_string(":memory:", **{name: wrong})
    with SQLAlchemySaver.from_conn_string(":memory:") as saver, pytest.raises(InvalidConfig, match="limits must be"):
        saver.with_limits(wrong)
