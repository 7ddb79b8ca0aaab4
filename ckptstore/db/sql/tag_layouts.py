"""Which of the ways to keep tags a database has."""

from __future__ import annotations

from functools import cache

from ckptstore.db.sql.numbered_tags import NumberedTags
from ckptstore.db.sql.routing import SCATTERED, TEXTS_OF_TAGS
from ckptstore.db.sql.tag_index import NumberedThreads, TagIndex

_KINDS = {"sqlite": NumberedThreads, "postgresql": NumberedTags, TEXTS_OF_TAGS: TagIndex, SCATTERED: TagIndex}


@cache
def index_of(database: str) -> TagIndex:
    """How a database keeps tags."""
    return _KINDS[database](database)


def has_numbers(database: str) -> bool:
    """Whether tags are rows of `NUMBERED_POSTING`."""
    return isinstance(index_of(database), NumberedTags)
