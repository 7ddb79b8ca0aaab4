"""Statements that ask what a user may do, and what time it is."""

from __future__ import annotations

from ckptstore.db.models import Base
from ckptstore.db.sql import checks
from ckptstore.db.sql.routing import TEXTS_OF_TAGS
from ckptstore.db.tag_tables import names_in
from tests.support.statements import compiled


def test_every_table_and_privilege_is_asked_for() -> None:
    found = compiled("postgresql", checks.missing_privileges("postgresql"))
    assert found.tables >= {*names_in(on_sqlite=False, numbers_tags=True)}
    assert compiled("postgresql", checks.missing_privileges(TEXTS_OF_TAGS)).tables >= {*Base.metadata.tables}
    assert all(f"'{name}'" in found.text for name in ("SELECT", "INSERT", "UPDATE", "DELETE"))
    assert found.parameters == {"schema"}


def test_the_servers_state_and_clock() -> None:
    assert "pg_is_in_recovery" in compiled("postgresql", checks.server_state("postgresql")).text
    assert "clock_timestamp" in compiled("postgresql", checks.server_time("postgresql")).text


def test_the_newest_activity_is_at_the_end_of_an_index(kind: str) -> None:
    assert "max(" in compiled(kind, checks.newest_activity(kind)).text
