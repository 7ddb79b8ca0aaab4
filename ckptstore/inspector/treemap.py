"""A treemap: rectangles whose areas are in proportion to numbers, as near to squares as can be.

Source: Bruls, Huizing, van Wijk, "Squarified Treemaps" (2000).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Part(NamedTuple):
    """What takes space."""

    name: str
    #: Groups have colours of their own.
    group: str
    size: int


class Rectangle(NamedTuple):
    """A part, and where it is drawn."""

    part: Part
    x: float
    y: float
    width: float
    height: float


class _Area(NamedTuple):
    x: float
    y: float
    width: float
    height: float

    @property
    def shorter(self) -> float:
        return min(self.width, self.height)


def treemap(parts: Sequence[Part], width: float, height: float) -> list[Rectangle]:
    """Rectangles that fill an area, the largest first. Parts without a size are left out."""
    left = sorted((part for part in parts if part.size > 0), key=lambda part: (-part.size, part.name))
    total = sum(part.size for part in left)
    scale = width * height / total if total else 0.0
    area, drawn = _Area(0.0, 0.0, width, height), list[Rectangle]()
    while left:
        row = _row(left, area.shorter, scale)
        taken = sum(part.size for part in row) * scale
        drawn.extend(_place(row, area, taken, scale))
        area = _rest(area, taken)
        left = left[len(row) :]
    return drawn


def _row(parts: Sequence[Part], side: float, scale: float) -> Sequence[Part]:
    """As many of the parts as make a row along a side, while that makes its worst rectangle more of a square."""
    best = _worst(parts[:1], side, scale)
    for count in range(2, len(parts) + 1):
        worst = _worst(parts[:count], side, scale)
        if worst > best:
            return parts[: count - 1]
        best = worst
    return parts


def _worst(row: Sequence[Part], side: float, scale: float) -> float:
    """The ratio of the sides of the rectangle in a row that is least of a square."""
    total = sum(part.size for part in row) * scale
    if not total or not side:
        return float("inf")
    depth = total / side
    lengths = [part.size * scale / depth for part in row]
    return max(max(length / depth, depth / length) if length else float("inf") for length in lengths)


def _place(row: Sequence[Part], area: _Area, taken: float, scale: float) -> Iterator[Rectangle]:
    depth = taken / area.shorter if area.shorter else 0.0
    along = area.y if area.width >= area.height else area.x
    for part in row:
        length = part.size * scale / depth if depth else 0.0
        if area.width >= area.height:
            yield Rectangle(part, area.x, along, depth, length)
        else:
            yield Rectangle(part, along, area.y, length, depth)
        along += length


def _rest(area: _Area, taken: float) -> _Area:
    depth = taken / area.shorter if area.shorter else 0.0
    if area.width >= area.height:
        return area._replace(x=area.x + depth, width=max(0.0, area.width - depth))
    return area._replace(y=area.y + depth, height=max(0.0, area.height - depth))
