"""What a batch consists of, and what it needs to exist already: the same on both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, Select, Text, and_, cast, exists, select

from ckptstore.db.sql.fragments import equal, keys
from ckptstore.db.sql.tables import CHANNEL, CHECKPOINT, CHECKPOINT_KEY, SEGMENT, SEGMENT_KEY, TAG, VERSION_KEY, WRITE

#: What a batch may hold beside its threads: the table of its rows, and what happens to a row that is there.
BATCH_ROWS = {
    "checkpoints": (CHECKPOINT, "keep"),
    "channels": (CHANNEL, "replace"),
    "tags": (TAG, "keep"),
    "segments": (SEGMENT, "keep"),
    "kept_writes": (WRITE, "keep"),
    "replaced_writes": (WRITE, "replace"),
}

#: What a batch's units need to be there already, and where it has to be.
BATCH_NEEDS = {"carried": (CHANNEL, VERSION_KEY), "known": (SEGMENT, SEGMENT_KEY)}


def missing_needs(database: str, need: str) -> Select[Any]:
    """Of what units need (`BATCH_NEEDS`), given as keys that end with the number of the unit, what is not stored."""
    _, key = BATCH_NEEDS[need]
    given_keys = keys(database, (*key, "unit"))
    unit = cast(given_keys.c.unit, BigInteger)
    return select(unit, *[given_keys.c[name] for name in key]).where(is_missing(need, given_keys))


def is_missing(need: str, given_keys: FromClause) -> ColumnElement[bool]:
    """Whether what units need is not stored, for each of the given keys."""
    table, key = BATCH_NEEDS[need]
    return ~exists().where(*equal(table, given_keys, key))


def metadata_of(database: str) -> Select[Any]:
    """Key and metadata of those of the given checkpoints that exist."""
    given_keys = keys(database, CHECKPOINT_KEY)
    columns = [CHECKPOINT.c[name] for name in CHECKPOINT_KEY]
    return select(*columns, cast(CHECKPOINT.c.metadata, Text)).join(given_keys, and_(*equal(CHECKPOINT, given_keys, CHECKPOINT_KEY)))
