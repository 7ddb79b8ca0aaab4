"""Which keys the tag index has."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, and_, literal_column, or_, select

from ckptstore.db.sql.lookups import exists_for_row
from ckptstore.db.sql.parameters import keys_table
from ckptstore.db.sql.routing import SCATTERED
from ckptstore.db.sql.tag_layouts import index_of

#: The parameters of `keys_in_use`: a key, and the range of the keys that are nested below it.
KEY_AND_BELOW = ("key", "first_below", "after_below")


def keys_in_use(database: str) -> Select[Any]:
    """Those of the given keys that a checkpoint has, or has keys nested below: one look-up in the index for each."""
    given, index = keys_table(database, KEY_AND_BELOW), index_of(database)
    key = index.texts.c.key
    at = key == given.c.key
    below = and_(key >= given.c.first_below, key < given.c.after_below)
    if database == SCATTERED:
        return select(given.c.key).select_from(given.join(index.texts, or_(at, below))).distinct()
    keys: Select[Any] = select(literal_column("1")).select_from(index.texts)
    found = [exists_for_row(database, keys.where(condition, *index.is_in_use())) for condition in (at, below)]
    return select(given.c.key).where(or_(*found))
