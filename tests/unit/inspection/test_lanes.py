"""Drawing a history in lanes."""

from __future__ import annotations

from ckptstore.inspection.lanes import draw


def drawing(history: list[tuple[str, str | None]]) -> list[str]:
    rows = []
    for row in draw(history):
        signs = dict.fromkeys(row.passing, "|") | dict.fromkeys(row.joined, "/") | {row.lane: row.key}
        rows.append("".join(signs.get(lane, " ") for lane in range(max(signs) + 1)))
    return rows


def test_a_chain_is_one_lane() -> None:
    assert drawing([("c", "b"), ("b", "a"), ("a", None)]) == ["c", "b", "a"]


def test_a_fork_is_two_lanes_that_meet() -> None:
    assert drawing([("d", "b"), ("c", "b"), ("b", "a"), ("a", None)]) == ["d", "|c", "b/", "a"]


def test_a_lane_that_ended_is_used_again() -> None:
    assert drawing([("z", "c"), ("y", None), ("x", None), ("c", None)]) == ["z", "|y", "|x", "c"]


def test_a_parent_on_a_later_page_keeps_its_lane() -> None:
    assert drawing([("c", "elsewhere"), ("b", "a"), ("a", None)]) == ["c", "|b", "|a"]
    assert draw([("c", "elsewhere")])[0].goes_on
