"""Statements that walk the distinct keys and values of the tag index, one look-up for each, however many checkpoints have them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Text, bindparam, select
from sqlalchemy.sql.functions import min as least

from ckptstore.db.sql.routing import SCATTERED
from ckptstore.db.sql.tag_layouts import index_of


def keys_from(database: str) -> Select[Any]:
    """The first `page_size` key paths from `first` up to but not including `last`, in order."""
    index = index_of(database)
    return _distinct(database, index.texts.c.key, *index.is_in_use())


def values_from(database: str) -> Select[Any]:
    """Like `keys_from`, the values of the key path `key`."""
    index = index_of(database)
    return _distinct(database, index.texts.c.value, index.texts.c.key == bindparam("key", type_=Text()), *index.is_in_use())


def _distinct(database: str, of: ColumnElement[str], *conditions: ColumnElement[bool]) -> Select[Any]:
    """The distinct texts of a column, found one after the other past the rows of each."""
    first, last = (bindparam(name, type_=Text()) for name in ("first", "last"))
    within = (*conditions, of < last)
    page_size = bindparam("page_size", type_=BigInteger)
    if database == SCATTERED:
        # No shard has the next one of all shards.
        return select(of).where(of >= first, *within).distinct().order_by(of).limit(page_size)
    start = select(select(least(of)).where(of >= first, *within).scalar_subquery().label("text"))
    found = start.cte("found", recursive=True)
    following = select(least(of)).where(of > found.c.text, *within).correlate(found).scalar_subquery()
    found = found.union_all(select(following).where(found.c.text.is_not(None)))
    return select(found.c.text).where(found.c.text.is_not(None)).limit(page_size)
