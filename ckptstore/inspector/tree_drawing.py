"""The picture of a page of a thread's tree: a point for each checkpoint, newest first, and lines to their parents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ckptstore.inspection.lanes import draw
from ckptstore.inspection.outline import OutlinedCheckpoint, Parent
from ckptstore.langgraph.inspection.steps import Step
from ckptstore.records import CheckpointKey

#: Height of a row, and distance of lanes, in pixels. The rows beside the picture have this height in the style sheet.
ROW, LANE = 60, 18
_MARGIN = 14
# More lanes than these are drawn on top of each other: on a narrow screen, the picture would take the place of the texts.
_MAX_LANES = 9
_GAP = 20


class Point(NamedTuple):
    """A checkpoint."""

    x: int
    y: int
    #: `first`, `interrupted`, `failed` or `plain`.
    kind: str


class Line(NamedTuple):
    """What connects two points."""

    #: In the language of SVG's paths.
    path: str
    #: `parent`, `fork`, `subgraph` or `pruned`.
    kind: str


class Drawing(NamedTuple):
    """A picture, in pixels."""

    width: int
    height: int
    lines: Sequence[Line]
    points: Sequence[Point]


def draw_tree(checkpoints: Sequence[OutlinedCheckpoint], steps: Sequence[Step]) -> Drawing:
    """The picture of a page.

    Args:
        checkpoints: newest first.
        steps: of each of them.
    """
    rows = draw([(each.key, each.parent_key) for each in checkpoints])
    lanes = [min(row.lane, _MAX_LANES - 1) for row in rows]
    points = [
        Point(_MARGIN + lane * LANE, ROW // 2 + number * ROW, _kind(checkpoint, step))
        for number, (lane, checkpoint, step) in enumerate(zip(lanes, checkpoints, steps, strict=True))
    ]
    height = ROW * len(checkpoints)
    lines = [*_subgraphs(checkpoints, steps, points), *_parents(checkpoints, points, height)]
    return Drawing(2 * _MARGIN + max(lanes, default=0) * LANE, height, lines, points)


def _kind(checkpoint: OutlinedCheckpoint, step: Step) -> str:
    if step.errors:
        return "failed"
    if step.interrupts:
        return "interrupted"
    return "first" if checkpoint.parent is Parent.NONE else "plain"


def _parents(checkpoints: Sequence[OutlinedCheckpoint], points: Sequence[Point], height: int) -> Iterator[Line]:
    at = {checkpoint.key: point for checkpoint, point in zip(checkpoints, points, strict=True)}
    for checkpoint, (x, y, _) in zip(checkpoints, points, strict=True):
        if checkpoint.parent is Parent.MISSING:
            yield Line(f"M{x} {y}V{y + _GAP}", "pruned")
        elif checkpoint.parent is Parent.STORED:
            parent = at.get(checkpoint.parent_key) if checkpoint.parent_key is not None else None
            if parent is None:
                # On a later page.
                yield Line(f"M{x} {y}V{height}", "parent")
            else:
                yield Line(_curve(x, y, parent.x, parent.y), "parent" if parent.x == x else "fork")


def _subgraphs(checkpoints: Sequence[OutlinedCheckpoint], steps: Sequence[Step], points: Sequence[Point]) -> Iterator[Line]:
    """From the first checkpoint of each subgraph to the one of the root graph that it ran under."""
    at = {checkpoint.key: point for checkpoint, point in zip(checkpoints, points, strict=True)}
    for checkpoint, step, point in zip(checkpoints, steps, points, strict=True):
        if step.ran_under is not None and checkpoint.parent is Parent.NONE:
            root = at.get(CheckpointKey(checkpoint.key.thread_id, "", step.ran_under))
            if root is not None:
                yield Line(_curve(point.x, point.y, root.x, root.y), "subgraph")


def _curve(x: int, y: int, to_x: int, to_y: int) -> str:
    """Straight down, and in the last row over to the other lane."""
    if x == to_x:
        return f"M{x} {y}V{to_y}"
    turn = to_y - ROW // 2
    return f"M{x} {y}V{turn}C{x} {to_y} {to_x} {turn} {to_x} {to_y}"
