"""Which tables a database has."""

from __future__ import annotations

from ckptstore.db.tables import METADATA
from ckptstore.db.tag_tables import ON_POSTGRESQL, ON_SQLITE, TAG_NUMBER, TAG_SEARCH, names_in


def test_tags_are_a_table_or_a_view_of_others() -> None:
    assert names_in(on_sqlite=False, numbers_tags=False) == sorted(METADATA.tables)
    assert names_in(on_sqlite=False, numbers_tags=True) == sorted({*METADATA.tables, *ON_POSTGRESQL.tables} - {"ckpt_tag"})
    assert names_in(on_sqlite=True, numbers_tags=False) == sorted({*METADATA.tables, *ON_SQLITE.tables} - {"ckpt_tag"})


def test_nothing_creates_what_is_searched_but_migrations() -> None:
    assert not {TAG_SEARCH.name, TAG_NUMBER.name} & {*METADATA.tables, *ON_SQLITE.tables, *ON_POSTGRESQL.tables}
