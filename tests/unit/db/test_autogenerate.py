"""What Alembic compares: the tables of each kind of database, and none of a host's."""

from __future__ import annotations

from sqlalchemy import MetaData

from ckptstore.db import autogenerate


def test_a_hosts_autogenerate_can_leave_our_tables_out() -> None:
    theirs = MetaData()
    assert not autogenerate.leave_out_ckptstore(None, "ckpt_tag", "table", True, None)
    assert not autogenerate.leave_out_ckptstore(None, "ckpt_alembic_version", "table", True, None)
    assert autogenerate.leave_out_ckptstore(theirs, "orders", "table", True, None)
    assert autogenerate.leave_out_ckptstore(theirs, "ckpt_like_index", "index", True, None)


def test_sqlite_has_the_tables_behind_the_view_of_tags() -> None:
    found = {
        name: autogenerate.what_is_compared(name)["include_object"](None, "ckpt_tag", "table", False, None)
        for name in ("sqlite", "postgresql")
    }
    assert found == {"sqlite": False, "postgresql": True}
