"""A put as a record: which channels are stored with it, which are carried, which are part of the body."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from langgraph.checkpoint.base import WRITES_IDX_MAP
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import ERROR

from ckptstore import SizeLimits, TagKeys
from ckptstore.errors import CheckpointTooLarge, InvalidConfig, SerializationFailed
from ckptstore.langgraph.encode import CheckpointPut, Encoder, TaskWritesPut
from ckptstore.langgraph.metadata import MetadataEncoder
from ckptstore.records import NewCheckpoint, NewWrites
from ckptstore.values.size_limits import NO_ROOM, SizeChecker
from tests.support.build import checkpoint, config, metadata

SERDE = JsonPlusSerializer()
LONG = "longer than what the body of a checkpoint may hold"


def encoder(**limits: Any) -> Encoder:
    chosen = SizeLimits(**limits)
    checker = SizeChecker(chosen, leaf_room=NO_ROOM, remedy="max_checkpoint_bytes")
    return Encoder(SERDE, MetadataEncoder(TagKeys(), chosen), checker)


def put(
    values: dict[str, Any],
    versions: dict[str, Any] | None = None,
    new: Sequence[str] | None = None,
    not_stored: Sequence[str] = (),
    **limits: Any,
) -> NewCheckpoint:
    made = checkpoint(values, versions)
    given = made["channel_versions"]
    new_versions = given if new is None else {channel: given[channel] for channel in new}
    return CheckpointPut(encoder(**limits), config("t", "parent"), made, metadata(), new_versions, 5).serialise(not_stored)


def body_of(record: NewCheckpoint) -> Any:
    return SERDE.loads_typed((record.body.type, record.body.data))


def test_small_scalars_are_part_of_the_body_with_their_versions() -> None:
    values = {"none": None, "yes": True, "n": 2**63 - 1, "x": 1.5, "word": "short"}
    record = put(values)
    (version,) = set(checkpoint({"n": 1})["channel_versions"].values())
    assert body_of(record)["scalars"] == {channel: [version, value] for channel, value in values.items()}
    assert (list(record.values), list(record.carried)) == ([], [])
    assert json.loads(record.channel_versions) == dict.fromkeys(values)


@pytest.mark.parametrize("value", [LONG, "not ascii: é", b"bytes", [1], {"a": 1}])
def test_other_values_have_rows_of_their_own(value: Any) -> None:
    record = put({"c": value})
    ((channel, _, stored),) = record.values
    assert (channel, SERDE.loads_typed((stored.type, stored.data))) == ("c", value)
    assert "scalars" not in body_of(record)


def test_an_unchanged_channel_is_carried_until_it_turns_out_not_to_be_stored() -> None:
    values = {"old": [LONG], "new": [LONG]}
    record = put(values, new=["new"])
    assert ([channel for channel, *_ in record.values], [channel for channel, _ in record.carried]) == (["new"], ["old"])
    again = put(values, new=["new"], not_stored=["old"])
    assert ({channel for channel, *_ in again.values}, list(again.carried)) == ({"old", "new"}, [])


def test_a_value_without_a_version_gets_one_of_its_checkpoint() -> None:
    record = put({"a": [LONG], "n": 1}, versions={})
    own = f"={record.key.checkpoint_id}"
    assert [(channel, version) for channel, version, _ in record.values] == [("a", own)]
    assert body_of(record)["unversioned"] == ["a", "n"]
    assert body_of(record)["scalars"] == {"n": [own, 1]}


def test_versions_that_are_no_texts_are_stored_with_their_types() -> None:
    record = put({"a": [LONG]}, versions={"a": 3, "b": 1.5})
    assert body_of(record)["channel_versions"] == {"a": 3, "b": 1.5}
    assert "channel_versions" not in body_of(put({"a": [LONG]}))


def test_key_parent_time_and_size() -> None:
    record = put({"a": [LONG]})
    assert (record.key.thread_id, record.key.checkpoint_ns, record.parent_checkpoint_id, record.created_at) == ("t", "", "parent", 5)
    ((_, _, value),) = record.values
    assert record.size == len(record.body.data) + len(value.data)


@pytest.mark.parametrize("channel", ["c", "nested"])
def test_what_cannot_be_serialised_is_refused_by_the_name_of_its_channel(channel: str) -> None:
    with pytest.raises(SerializationFailed, match=channel):
        put({channel: 2**70 if channel == "c" else [object()]})


def test_the_limit_counts_carried_channels_too() -> None:
    values = {"old": ["x" * 600], "new": ["y" * 600]}
    assert put(values, new=["new"], max_checkpoint_bytes=2_000).carried
    with pytest.raises(CheckpointTooLarge, match="old"):
        put(values, new=["new"], max_checkpoint_bytes=1_000)


def writes(given: Sequence[tuple[str, Any]], **limits: Any) -> NewWrites:
    return TaskWritesPut(encoder(**limits), config("t", "c"), given, "task", "~path", 5).serialise(())


def test_writes_are_numbered_and_special_channels_have_their_own_numbers() -> None:
    record = writes([("a", 1), (ERROR, "it failed"), ("b", [2])])
    assert [(write.idx, write.channel) for write in record.writes] == [(0, "a"), (WRITES_IDX_MAP[ERROR], ERROR), (2, "b")]
    assert (record.task_id, record.task_path, record.created_at, record.replace) == ("task", "~path", 5, False)
    assert [SERDE.loads_typed((write.value.type, write.value.data)) for write in record.writes] == [1, "it failed", [2]]


def test_only_special_channels_replace_earlier_writes() -> None:
    assert writes([(ERROR, "it failed")]).replace
    assert not writes([("a", 1)]).replace


def test_writes_have_the_limit_of_a_checkpoint() -> None:
    with pytest.raises(CheckpointTooLarge):
        writes([("a", "x" * 2_000)], max_checkpoint_bytes=1_000)


def test_writes_without_a_checkpoint_are_refused() -> None:
    with pytest.raises(InvalidConfig, match="checkpoint_id"):
        TaskWritesPut(encoder(), config("t"), [("a", 1)], "task", "", 5)
