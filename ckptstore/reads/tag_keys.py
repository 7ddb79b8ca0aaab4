"""Which keys of a filter any checkpoint has: a key that none has finds nothing, and is often a mistake."""

from __future__ import annotations

from collections.abc import Collection

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.tags.conditions import keys_below


def keys_in_use(db: Db, paths: Collection[str]) -> set[str]:
    """Those of some paths of the tag index at which, or below which, a checkpoint has a value."""
    keys = [(path, *keys_below(path)) for path in paths]
    return {row[0] for row in db.run(sql.tag_keys.keys_in_use, db.key_parameters(sql.tag_keys.KEY_AND_BELOW, keys))}
