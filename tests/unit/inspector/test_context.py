"""What the pages have in common."""

from __future__ import annotations

from typing import Any, cast

import pytest
from starlette.requests import Request

from ckptstore.errors import InvalidConfig
from ckptstore.inspection.stats import StoreStats
from ckptstore.inspector.context import Measured, RecentStates, required, text_of
from ckptstore.langgraph.inspection.state import CheckpointState
from ckptstore.records import CheckpointKey


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def key(name: str) -> CheckpointKey:
    return CheckpointKey("t", "", name)


def request(query: str) -> Request:
    return Request({"type": "http", "query_string": query.encode(), "headers": []})


def test_a_state_is_read_once_in_a_minute() -> None:
    read: list[str] = []

    def state(of: CheckpointKey) -> CheckpointState:
        read.append(of.checkpoint_id)
        return CheckpointState(of, None, 4, {}, None, {}, [])

    clock = Clock()
    states = RecentStates(state, clock)
    states.recent(key("a"))
    states.recent(key("a"))
    assert read == ["a"]
    states.fresh(key("a"))
    assert read == ["a", "a"]
    clock.now += 61
    states.recent(key("a"))
    assert read == ["a"] * 3
    for name in "bcde":
        states.recent(key(name))
    # Of five, the oldest is forgotten.
    states.recent(key("e"))
    states.recent(key("a"))
    assert read == [*"aaabcde", "a"]


def test_figures_are_measured_once_in_five_minutes() -> None:
    clock = Clock()
    measured = Measured(clock)
    found = [cast(StoreStats, f"figures {number}") for number in range(3)]
    left = iter(found)

    def read(*, again: bool = False) -> Any:
        return measured.read(lambda: next(left), again=again)

    assert read() == (found[0], 0)
    clock.now = 100
    assert read() == (found[0], 100)
    assert read(again=True) == (found[1], 0)
    clock.now = 400
    assert read() == (found[2], 0)


def test_parameters_are_texts_that_a_database_can_have() -> None:
    assert text_of(request("q=a%20b"), "q") == "a b"
    assert text_of(request(""), "q") is None
    with pytest.raises(InvalidConfig):
        text_of(request("q=a%00b"), "q")
    with pytest.raises(InvalidConfig, match="names no thread"):
        required(request("q=1"), "thread")
    assert required(request("thread="), "thread") == ""
