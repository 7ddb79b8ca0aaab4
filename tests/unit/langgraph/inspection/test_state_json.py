"""States as JSON documents."""

from __future__ import annotations

import json

from ckptstore.langgraph.inspection.state import ChannelState, CheckpointState, PendingWrite
from ckptstore.langgraph.inspection.state_json import state_as_json
from ckptstore.langgraph.structure.nodes import NotShown
from ckptstore.records import CheckpointKey


def test_a_state_is_a_document() -> None:
    channel = ChannelState("n", "1", b"x", 1, 0, False)
    write = PendingWrite("task", "path", "c", NotShown("gone"), 3)
    state = CheckpointState(CheckpointKey("t", "ns", "1"), "0", 4, {"step": 1}, "now", {"n": channel}, [write])
    found = state_as_json(state)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["thread_id"], found["checkpoint_ns"], found["checkpoint_id"], found["parent_checkpoint_id"]) == ("t", "ns", "1", "0")
    assert found["channels"]["n"]["value"]["$bytes"] == 1
    assert found["writes"] == [{"task_id": "task", "task_path": "path", "channel": "c", "size": 3, "value": {"$not_shown": "gone"}}]
