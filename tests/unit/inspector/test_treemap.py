"""Rectangles in proportion to sizes."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from ckptstore.inspector.treemap import Part, Rectangle, treemap

SIZES = st.lists(st.integers(0, 10**6), max_size=30)


def overlap(one: Rectangle, other: Rectangle) -> float:
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(width, 0) * max(height, 0)


@given(SIZES)
def test_areas_are_in_proportion_and_fill_the_picture(sizes: list[int]) -> None:
    drawn = treemap([Part(str(number), "g", size) for number, size in enumerate(sizes)], 400, 300)
    total = sum(sizes)
    assert sorted(each.part.size for each in drawn) == sorted(size for size in sizes if size)
    for each in drawn:
        assert abs(each.width * each.height - 400 * 300 * each.part.size / total) < 1e-3
        assert min(each.x, each.y, each.width, each.height) >= 0
        assert each.x + each.width <= 400 + 1e-3
        assert each.y + each.height <= 300 + 1e-3
    assert all(overlap(*pair) < 1e-3 for pair in combinations(drawn, 2))


def test_the_example_of_the_paper() -> None:
    drawn = treemap([Part(name, "", size) for name, size in zip("abcdefg", (6, 6, 4, 3, 2, 2, 1), strict=True)], 6, 4)
    assert [(each.part.name, round(each.width, 2), round(each.height, 2)) for each in drawn[:3]] == [
        ("a", 3, 2),
        ("b", 3, 2),
        ("c", 1.71, 2.33),
    ]


def test_nothing_has_no_rectangles() -> None:
    assert treemap([], 10, 10) == []
    assert treemap([Part("x", "g", 0)], 10, 10) == []
