"""An outline in LangGraph's terms."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ckptstore.inspection.outline import ChannelWrites, OutlinedCheckpoint, Parent
from ckptstore.langgraph.inspection.steps import Step, short_namespace, step_of
from ckptstore.records import CheckpointKey


def outlined(metadata: dict[str, Any], *written: tuple[str, int], checkpoint_ns: str = "") -> OutlinedCheckpoint:
    writes = [ChannelWrites(channel, tasks, tasks, 1) for channel, tasks in written]
    return OutlinedCheckpoint(CheckpointKey("t", checkpoint_ns, "c"), None, Parent.NONE, datetime.now(UTC), 1, metadata, 1, writes)


def test_source_step_interrupts_errors_and_what_was_written() -> None:
    found = outlined({"source": "loop", "step": 3}, ("__error__", 1), ("__interrupt__", 2), ("branch:to:x", 1), ("messages", 1))
    assert step_of(found) == Step("loop", 3, None, 2, 1, ["messages"])


def test_a_subgraph_ran_under_a_checkpoint_of_the_root_graph() -> None:
    assert step_of(outlined({"parents": {"": "root"}}, checkpoint_ns="a:b")).ran_under == "root"
    assert step_of(outlined({"parents": {"": "root"}})).ran_under is None


def test_metadata_of_other_types_says_nothing() -> None:
    assert step_of(outlined({"source": 1, "step": True, "parents": []}, checkpoint_ns="a")) == Step(None, None, None, 0, 0, [])


def test_namespaces_have_the_beginnings_of_task_ids() -> None:
    assert short_namespace("ask:12345678-aaaa|inner|b:1") == "ask:12345678|inner|b:1"
    assert short_namespace("") == ""
