"""Records that are made of bytes are loaded as the source loads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore import TagKeys
from ckptstore.errors import InvalidConfig, NotEncrypted, SerializationFailed
from ckptstore.langgraph.decode import decode_checkpoint
from ckptstore.langgraph.imports.records import RawRecords, time_of, time_of_id
from ckptstore.records import CheckpointKey, LoadedCheckpoint, NewCheckpoint, Value
from ckptstore.tags.keys import EVERYTHING
from tests.support.build import checkpoint
from tests.support.serialisers import Pickling, encrypting
from tests.support.value_kinds import KINDS

SERDE = JsonPlusSerializer()


def loaded(records: list[NewCheckpoint], serde: Any = SERDE) -> list[dict[str, Any]]:
    """The checkpoints as they are loaded from their records."""
    values: dict[tuple[str, str], Value] = {}
    for record in records:
        values |= {(channel, version): value for channel, version, value in record.values}
    found = []
    for record in records:
        versions: Mapping[str, str | None] = json.loads(record.channel_versions)
        known = {channel: values[channel, version] for channel, version in versions.items() if version and (channel, version) in values}
        assert len(known) == len(record.values) + len(record.carried)
        one = LoadedCheckpoint(record.key, record.parent_checkpoint_id, record.format, record.body, versions, record.metadata, dict(known))
        found.append(dict(decode_checkpoint(serde, one, lambda *_: "0").checkpoint))
    return found


def imported(checkpoints: list[Any], source: Any = None, target: Any = SERDE) -> list[NewCheckpoint]:
    records = RawRecords(source, target, EVERYTHING).of_another_thread()
    writer = source or SERDE
    found = []
    for each in checkpoints:
        type_, data = writer.dumps_typed(each)
        found.append(records.checkpoint(CheckpointKey("t", "", each["id"]), None, type_, data, {"step": 1}))
    return found


def same(one: Any, other: Any) -> bool:
    return bool(JsonPlusSerializer(pickle_fallback=True).dumps_typed(one) == JsonPlusSerializer(pickle_fallback=True).dumps_typed(other))


@pytest.mark.parametrize("value", KINDS.values(), ids=KINDS)
def test_values_of_every_kind(value: Any) -> None:
    made = checkpoint({"a": value, "n": 1})
    (found,) = loaded(imported([made]))
    whole = SERDE.loads_typed(SERDE.dumps_typed(made))
    assert found.keys() == whole.keys()
    for name, part in whole.items():
        assert same(found[name], part) or found[name] == part


@pytest.mark.parametrize(
    ("source", "target"),
    [(encrypting(), encrypting()), (encrypting(), SERDE), (Pickling(), SERDE), (Pickling(), Pickling()), (None, encrypting())],
    ids=["the same key", "decrypted", "custom to LangGraph's", "custom", "encrypted now"],
)
def test_from_serialiser_to_serialiser(source: Any, target: Any) -> None:
    made = checkpoint({"a": [1, {"b": b"c"}], "n": None, "long": "text " * 20})
    (record,) = imported([made], source, target)
    assert loaded([record], target) == [made]
    if target is not SERDE and not isinstance(target, Pickling):
        assert all("+aes" in value.type for value in (record.body, *(value for _, _, value in record.values)))


def test_a_version_with_two_values_and_with_none() -> None:
    versions = {"a": "1", "b": "1"}
    made = [
        checkpoint({"a": [1]}, versions, id="1"),
        checkpoint({"a": [1]}, versions, id="2"),
        checkpoint({"a": [2], "b": [3]}, versions, id="3"),
        checkpoint({}, versions, id="4"),
        checkpoint({"a": [1]}, versions, id="5"),
    ]
    records = imported(made)
    assert loaded(records) == made
    assert [len(record.values) for record in records] == [1, 0, 2, 0, 0]


def test_numbers_as_versions_and_no_versions() -> None:
    made = [checkpoint({"a": [1], "free": [2]}, {"a": 5, "b": 1.5}, id="1"), checkpoint({"a": [1]}, {"a": 5, "b": 1.5}, id="2")]
    assert loaded(imported(made)) == made


def test_old_formats_and_parts_of_other_releases_are_kept() -> None:
    made: Any = {"v": 1, "id": "x", "ts": "2024-05-04T06:32:42.235444+00:00", "channel_values": {"a": [1]}, "channel_versions": {"a": 1}}
    made |= {"versions_seen": {"n": {"a": 1}}, "pending_sends": [], "current_tasks": {}}
    (record,) = imported([made])
    assert (record.format, record.created_at) == (1, 1_714_804_362_235_444)
    assert loaded([record]) == [made]


def test_what_only_objects_can_be_made_of_names_the_way_out() -> None:
    records = RawRecords(None, SERDE, EVERYTHING)
    key = CheckpointKey("t", "", "c")
    with pytest.raises(SerializationFailed, match="--serde"):
        records.checkpoint(key, None, "pickle", b"x", {})
    with pytest.raises(NotEncrypted, match="--serde"):
        records.checkpoint(key, None, "msgpack+aes", b"x", {})
    with pytest.raises(SerializationFailed, match="--serde"):
        RawRecords(encrypting(), SERDE, EVERYTHING).write(key, "task", 0, "", "a", "msgpack+aes", b"too short")
    with pytest.raises(InvalidConfig, match="NUL"):
        records.write(key, "task", 0, "", "a\0", "msgpack", b"\xc0")


def test_metadata_of_2024_is_kept_and_not_all_of_it_indexed() -> None:
    records = RawRecords(None, SERDE, TagKeys(exclude=("secret",)))
    many = {"step": 1, "secret": 2, "writes": {"node": {"texts": [f"text {number}" for number in range(2_000)]}}}
    record = records.checkpoint(CheckpointKey("t", "", "c"), None, *SERDE.dumps_typed(checkpoint({})), many)
    assert len(record.postings) == 1
    assert "text 1999" in record.metadata


@pytest.mark.parametrize(
    ("ts", "checkpoint_id", "time"),
    [
        ("2026-01-01T00:00:00+00:00", "x", 1_767_225_600_000_000),
        (None, "019b76da-a800-7000-8000-000000000000", 1_767_225_600_000_000),
        ("no time", "x", 0),
        (None, "5f0e2a6c-2b5e-4000-8000-000000000000", 0),
    ],
)
def test_when_a_checkpoint_was_made(ts: Any, checkpoint_id: str, time: int) -> None:
    assert time_of(ts, checkpoint_id) == time


def test_the_time_in_an_id_of_langgraph() -> None:
    made = uuid6()
    # 100 nanoseconds since 1582.
    assert time_of_id(str(made)) == (made.time - 0x01B21DD213814000) // 10
