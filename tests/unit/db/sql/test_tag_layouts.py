"""Which database keeps tags in which way."""

from __future__ import annotations

from ckptstore.db.sql.routing import SCATTERED, TEXTS_OF_TAGS
from ckptstore.db.sql.tables import NUMBERED_POSTING, POSTING, TAG
from ckptstore.db.sql.tag_layouts import has_numbers, index_of


def test_each_database_has_its_own_rows() -> None:
    databases = ("sqlite", "postgresql", TEXTS_OF_TAGS, SCATTERED)
    assert [index_of(database).tags for database in databases] == [POSTING, NUMBERED_POSTING, TAG, TAG]
    assert [has_numbers(database) for database in databases] == [False, True, False, False]
