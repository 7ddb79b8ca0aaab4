"""What a put is given is checked before anything of it is serialised."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore.errors import InvalidConfig
from ckptstore.langgraph.checks import check_checkpoint, check_writes, checked_versions
from ckptstore.records import CheckpointKey

KEY = CheckpointKey("t", "", "c")


@pytest.mark.parametrize(
    ("checkpoint", "new_versions", "says"),
    [
        ([], {}, "a checkpoint must be a dict, got list"),
        ({"channel_values": []}, {}, "channel_values must be a dict"),
        ({"channel_versions": "x"}, {}, "channel_versions must be a dict"),
        ({}, None, "new_versions must be a dict"),
        ({"v": "4"}, {}, "'v' must be a whole number"),
        ({"v": True, "channel_values": None}, {}, "channel_values must be a dict"),
        ({"v": -1}, {}, "from 0 to"),
        ({"v": 2**15}, {}, "from 0 to"),
    ],
)
def test_a_checkpoint_of_another_form_is_refused(checkpoint: Any, new_versions: Any, says: str) -> None:
    with pytest.raises(InvalidConfig, match=says):
        check_checkpoint(checkpoint, new_versions)


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 2**15 - 1])
def test_every_format_is_taken(version: int) -> None:
    check_checkpoint({"v": version, "channel_values": {}, "channel_versions": {}}, {})
    check_checkpoint({}, {})


def test_versions_become_text() -> None:
    assert checked_versions(KEY, {"a": "1.x", "b": 2, "c": 2.5}) == {"a": "1.x", "b": "2", "c": "2.5"}


@pytest.mark.parametrize("version", [None, b"1", "\0", "v" * 10_000, pytest.param(10**5_000, id="a long number")])
def test_other_versions_are_refused_by_their_channel(version: Any) -> None:
    with pytest.raises(InvalidConfig, match="version"):
        checked_versions(KEY, {"messages": version})


@pytest.mark.parametrize("writes", ["ab", 5, None, [("a",)], [("a", 1, 2)], ["ab"], [(5, 1)]])
def test_writes_that_are_no_pairs_are_refused(writes: Any) -> None:
    with pytest.raises(InvalidConfig):
        check_writes(writes)
    assert check_writes([("a", 1), ["b", 2]]) == [("a", 1), ["b", 2]]
