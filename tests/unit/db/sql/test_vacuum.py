"""The size that a vacuum reports."""

from __future__ import annotations

from ckptstore.db.models import Base
from ckptstore.db.sql.routing import SCATTERED, TEXTS_OF_TAGS
from ckptstore.db.sql.vacuum import table_bytes
from ckptstore.db.tag_tables import names_in
from tests.support.statements import compiled


def test_all_our_tables_and_their_partitions_are_counted_in_one_schema() -> None:
    found = compiled("postgresql", table_bytes("postgresql"))
    assert found.tables == {*names_in(on_sqlite=False, numbers_tags=True)}
    assert compiled("postgresql", table_bytes(TEXTS_OF_TAGS)).tables == {*Base.metadata.tables}
    assert found.parameters == {"schema"}
    assert "pg_inherits.inhparent IN (SELECT" in found.text
    # Tables of the same name in another schema are somebody else's.
    assert "nspname = coalesce(" in found.text


def test_of_distributed_tables_the_shards_are_counted() -> None:
    found = compiled("postgresql", table_bytes(SCATTERED))
    assert found.tables == {*Base.metadata.tables}
    assert "sum(citus_total_relation_size(CAST(pg_catalog.pg_class.oid AS REGCLASS)))" in found.text
    assert "pg_inherits" not in found.text
