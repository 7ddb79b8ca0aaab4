"""The size that a vacuum reports."""

from __future__ import annotations

from ckptstore.db.models import Base
from ckptstore.db.sql.vacuum import table_bytes
from tests.support.statements import compiled


def test_all_our_tables_and_their_partitions_are_counted_in_one_schema() -> None:
    found = compiled("postgresql", table_bytes("postgresql"))
    assert found.tables == set(Base.metadata.tables)
    assert found.parameters == {"schema"}
    assert "pg_inherits.inhparent IN (SELECT" in found.text
    # Tables of the same name in another schema are somebody else's.
    assert "nspname = coalesce(" in found.text
