"""How tables are laid out."""

from __future__ import annotations

import pytest

from ckptstore.db.layout import AS_IT_IS, Layout
from ckptstore.errors import InvalidConfig


@pytest.mark.parametrize("layout", [AS_IT_IS, Layout(partitions=4), Layout(shards=8), Layout(one_node=True)])
def test_one_of_them_is_possible(layout: Layout) -> None:
    layout.require(on_sqlite=False)


@pytest.mark.parametrize(
    ("layout", "on_sqlite", "message"),
    [
        (Layout(4, 8), False, "either partitioned or distributed"),
        (Layout(partitions=1), False, "partitions must be"),
        (Layout(shards=0), False, "shards must be"),
        (Layout(partitions=4), True, "no partitions"),
        (Layout(shards=4), True, "can't be distributed"),
        (Layout(one_node=True), True, "can't be distributed"),
        (Layout(shards=4, one_node=True), False, "neither partitions nor shards"),
    ],
)
def test_others_are_refused(layout: Layout, on_sqlite: bool, message: str) -> None:
    with pytest.raises(InvalidConfig, match=message):
        layout.require(on_sqlite=on_sqlite)


def test_sqlite_is_left_as_it_is() -> None:
    AS_IT_IS.require(on_sqlite=True)
