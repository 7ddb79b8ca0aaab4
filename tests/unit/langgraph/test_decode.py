"""From stored checkpoints to LangGraph's tuples."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore.langgraph.decode import decode_checkpoint, decode_history
from ckptstore.langgraph.format import TASKS_CHANNEL
from ckptstore.records import ChannelHistory, CheckpointKey, LoadedCheckpoint, LoadedWrite, Value

SERDE = JsonPlusSerializer()
KEY = CheckpointKey("t", "ns", "c")


def stored(value: Any) -> Value:
    return Value(*SERDE.dumps_typed(value))


def loaded(body: dict[str, Any], versions: dict[str, str | None], format_: int = 4) -> LoadedCheckpoint:
    return LoadedCheckpoint(KEY, "p", format_, stored(body), versions, '{"step":1}')


def no_version(_current: None, _channel: None) -> str:
    return "first"


def test_values_come_from_their_rows_and_from_the_body() -> None:
    checkpoint = loaded({"ts": "now", "scalars": {"n": ["1", 5]}}, {"n": None, "log": "2", "unset": "3"})
    checkpoint.values["log"] = stored(["a"])
    checkpoint.writes = [LoadedWrite("", "task", 0, "log", stored(["b"]))]
    found = decode_checkpoint(SERDE, checkpoint, no_version)
    assert found.checkpoint["channel_values"] == {"n": 5, "log": ["a"]}
    assert found.checkpoint["channel_versions"] == {"n": "1", "log": "2", "unset": "3"}
    assert (found.checkpoint["v"], found.checkpoint["id"], found.checkpoint["ts"]) == (4, "c", "now")
    assert found.pending_writes == [("task", "log", ["b"])]
    assert found.metadata == {"step": 1}
    assert found.config["configurable"] == {"thread_id": "t", "checkpoint_ns": "ns", "checkpoint_id": "c"}
    assert found.parent_config == {"configurable": {"thread_id": "t", "checkpoint_ns": "ns", "checkpoint_id": "p"}}


def test_a_channel_without_a_version_has_none_again() -> None:
    checkpoint = loaded({"scalars": {"n": ["=c", 5]}, "unversioned": ["n"]}, {"n": None})
    found = decode_checkpoint(SERDE, checkpoint, no_version).checkpoint
    assert (found["channel_values"], found["channel_versions"]) == ({"n": 5}, {})


@pytest.mark.parametrize(("format_", "versions", "version"), [(3, {"a": "7", "b": "6"}, "7"), (3, {}, "first"), (4, {"a": "7"}, None)])
def test_old_formats_have_their_sends_at_the_parent(format_: int, versions: dict[str, str | None], version: str | None) -> None:
    checkpoint = loaded({}, versions, format_)
    checkpoint.parent_sends = [LoadedWrite("", "task", 0, TASKS_CHANNEL, stored("send"))]
    found = decode_checkpoint(SERDE, checkpoint, no_version).checkpoint
    assert found["channel_values"].get(TASKS_CHANNEL) == (["send"] if version else None)
    assert found["channel_versions"].get(TASKS_CHANNEL) == version


def test_a_history_has_a_seed_only_if_a_value_was_stored() -> None:
    writes = [LoadedWrite("", "task", 0, "d", stored("w"))]
    decoded = [("task", "d", "w")]
    assert decode_history(SERDE, ChannelHistory(writes, None), "d") == {"writes": decoded}
    assert decode_history(SERDE, ChannelHistory(writes, stored(["s"])), "d") == {"writes": decoded, "seed": ["s"]}
    in_body = ChannelHistory([], None, stored({"scalars": {"d": ["1", 5]}}))
    assert decode_history(SERDE, in_body, "d") == {"writes": [], "seed": 5}
