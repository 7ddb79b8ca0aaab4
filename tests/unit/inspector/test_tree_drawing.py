"""The picture of a tree."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ckptstore.inspection.outline import OutlinedCheckpoint, Parent
from ckptstore.inspector.tree_drawing import LANE, ROW, Line, draw_tree
from ckptstore.langgraph.inspection.steps import Step
from ckptstore.records import CheckpointKey

PLAIN = Step("loop", 1, None, 0, 0, [])


def checkpoint(id_: str, parent: str | None = None, ns: str = "", gone: bool = False) -> OutlinedCheckpoint:
    kind = Parent.MISSING if gone else Parent.STORED if parent else Parent.NONE
    return OutlinedCheckpoint(CheckpointKey("t", ns, id_), parent, kind, datetime.now(UTC), 1, {}, 0, [])


def drawn(*checkpoints: OutlinedCheckpoint, **steps: Step) -> Any:
    return draw_tree(checkpoints, [steps.get(each.key.checkpoint_id, PLAIN) for each in checkpoints])


def test_a_chain_is_a_straight_line() -> None:
    picture = drawn(checkpoint("c", "b"), checkpoint("b", "a"), checkpoint("a"))
    assert [point.y for point in picture.points] == [ROW // 2, ROW + ROW // 2, 2 * ROW + ROW // 2]
    assert len({point.x for point in picture.points}) == 1
    assert [point.kind for point in picture.points] == ["plain", "plain", "first"]
    assert [line.kind for line in picture.lines] == ["parent", "parent"]
    assert (picture.height, picture.lines[0].path) == (3 * ROW, f"M14 {ROW // 2}V{ROW + ROW // 2}")


def test_a_fork_has_a_lane_and_a_curve() -> None:
    picture = drawn(checkpoint("c", "a"), checkpoint("b", "a"), checkpoint("a"))
    c, b, a = picture.points
    assert (c.x, b.x, a.x) == (14, 14 + LANE, 14)
    assert [line.kind for line in picture.lines] == ["parent", "fork"]
    assert picture.lines[1].path.startswith(f"M{b.x} {b.y}V")
    assert picture.lines[1].path.endswith(f"{a.x} {a.y}")


def test_a_parent_on_a_later_page_is_led_to() -> None:
    picture = drawn(checkpoint("c", "a"))
    assert picture.lines == [Line(f"M14 {ROW // 2}V{ROW}", "parent")]


def test_a_pruned_parent_is_a_gap() -> None:
    assert [line.kind for line in drawn(checkpoint("c", "a", gone=True)).lines] == ["pruned"]


def test_a_subgraph_is_tied_to_the_checkpoint_that_it_ran_under() -> None:
    inner = checkpoint("s", ns="node:1")
    picture = drawn(inner, checkpoint("a"), s=PLAIN._replace(ran_under="a"))
    assert [line.kind for line in picture.lines] == ["subgraph"]
    assert drawn(inner, checkpoint("a"), s=PLAIN._replace(ran_under="elsewhere")).lines == []


def test_interrupts_and_errors_are_marked() -> None:
    picture = drawn(checkpoint("b", "a"), checkpoint("a"), b=PLAIN._replace(interrupts=1), a=PLAIN._replace(errors=1, interrupts=1))
    assert [point.kind for point in picture.points] == ["interrupted", "failed"]


def test_many_lanes_stay_narrow() -> None:
    forks = [checkpoint(f"{number:03}", "a") for number in range(300, 0, -1)]
    assert drawn(*forks, checkpoint("a")).width < 200


def test_nothing_is_an_empty_picture() -> None:
    assert drawn().points == []
