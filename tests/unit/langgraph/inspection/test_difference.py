"""What differs between two structures."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from ckptstore.langgraph.inspection.difference import Change, changes, difference
from ckptstore.langgraph.inspection.state import ChannelState, CheckpointState
from ckptstore.langgraph.structure.nodes import Typed
from ckptstore.langgraph.structure.reading import structure_of
from ckptstore.records import CheckpointKey, Value
from tests.support.values import SERDE


def found(before: Any, after: Any) -> list[tuple[Any, ...]]:
    return [tuple(change) for change in changes(before, after)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (1, 1, []),
        (float("nan"), float("nan"), []),
        (1, 1.0, [((), "changed", 1, 1.0)]),
        (1, True, [((), "changed", 1, True)]),
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, [(("a",), "removed", 1, None), (("b",), "changed", 2, 3), (("c",), "added", None, 4)]),
        ([1, 2], [1, 2, 3], [((2,), "added", None, 3)]),
        ([1, 2, 3], [2, 3], [((0,), "removed", 1, None)]),
        ([1, {"x": 1}, 3], [1, {"x": 2}, 3], [((1, "x"), "changed", 1, 2)]),
        ([1, 2], "no", [((), "changed", [1, 2], "no")]),
        (Typed("a.B", {"x": 1}, "fields"), Typed("a.B", {"x": 2}, "fields"), [(("x",), "changed", 1, 2)]),
        ([], [1], [((0,), "added", None, 1)]),
    ],
)
def test_differences_are_named_by_their_paths(before: Any, after: Any, expected: Any) -> None:
    assert found(before, after) == expected


def messages(*given: Any) -> Any:
    return structure_of(Value(*SERDE.dumps_typed(list(given))))


def test_messages_are_compared_by_their_ids() -> None:
    one, two, three = (HumanMessage(text, id=text) for text in ("one", "two", "three"))
    before = messages(one, two, three)
    after = messages(two, AIMessage("new", id="new"), HumanMessage("changed", id="three"))
    assert [(change.path, change.kind) for change in changes(before, after)] == [
        ((0,), "removed"),
        ((1,), "added"),
        ((2, "content"), "changed"),
    ]
    assert [change.kind for change in changes(messages(one, two), messages(two, one))] == ["moved", "moved"]
    assert [change.path for change in changes([], messages(one))] == [(0,)]


def test_messages_without_ids_are_compared_as_a_list() -> None:
    one, two = HumanMessage("one"), HumanMessage("two")
    assert [(change.path, change.kind) for change in changes(messages(one), messages(one, two))] == [((1,), "added")]


def test_long_lists_are_compared_in_bounded_time() -> None:
    before, after = list(range(3_000)), list(range(3_000, 5_000))
    assert len(list(changes([0, *before], [0, *after]))) == 5_000


def state(channels: dict[str, tuple[str, Any]]) -> CheckpointState:
    made = {name: ChannelState(name, version, content, None, 0, is_internal=False) for name, (version, content) in channels.items()}
    return CheckpointState(CheckpointKey("t", "", "c"), None, 4, {"step": len(channels)}, None, made, [])


def test_channels_are_added_removed_changed_or_the_same() -> None:
    before = state({"a": ("1", 1), "b": ("1", 2), "c": ("1", 3), "same": ("1", [1])})
    after = state({"b": ("2", 20), "c": ("2", 3), "same": ("1", ["never compared"]), "z": ("1", 4)})
    compared = difference(before, after)
    assert [(of.name, of.kind) for of in compared.channels] == [("a", "removed"), ("b", "changed"), ("z", "added")]
    assert compared.channels[1].changes == [Change((), "changed", 2, 20)]
    assert compared.unchanged == ["c", "same"]
    assert compared.metadata == []
