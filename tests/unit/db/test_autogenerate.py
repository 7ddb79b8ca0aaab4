"""What Alembic compares: the tables of each kind of database, and none of a host's."""

from __future__ import annotations

import pytest
from sqlalchemy import MetaData

from ckptstore.db import autogenerate


def test_a_hosts_autogenerate_can_leave_our_tables_out() -> None:
    theirs = MetaData()
    assert not autogenerate.leave_out_ckptstore(None, "ckpt_tag", "table", True, None)
    assert not autogenerate.leave_out_ckptstore(None, "ckpt_alembic_version", "table", True, None)
    assert autogenerate.leave_out_ckptstore(theirs, "orders", "table", True, None)
    assert autogenerate.leave_out_ckptstore(theirs, "ckpt_like_index", "index", True, None)


@pytest.mark.parametrize(
    ("name", "numbers_tags", "expected"), [("sqlite", True, False), ("postgresql", True, False), ("postgresql", False, True)]
)
def test_where_tags_are_a_view_the_tables_behind_it_are_compared(name: str, numbers_tags: bool, expected: bool) -> None:
    compared = autogenerate.what_is_compared(name, numbers_tags=numbers_tags)
    assert compared["include_object"](None, "ckpt_tag", "table", False, None) is expected
