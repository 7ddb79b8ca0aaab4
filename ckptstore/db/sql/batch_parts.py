"""The parts of a batch, and the rows that must exist before it is stored; the same on both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, Select, Text, cast, literal_column, select

from ckptstore.db.sql.lookups import equal_columns, exists_for_row, rows_with_keys
from ckptstore.db.sql.parameters import keys_table
from ckptstore.db.sql.tables import CHANNEL, CHECKPOINT, CHECKPOINT_KEY, LEASE, LEASE_KEY, SEGMENT, SEGMENT_KEY, TAG, VERSION_KEY, WRITE

#: The parts of a batch except its threads: the table of each, and the rule for a row whose key exists (see `insert.resolve_conflict`).
BATCH_ROWS = {
    "checkpoints": (CHECKPOINT, "keep"),
    "channels": (CHANNEL, "replace"),
    "tags": (TAG, "keep"),
    "segments": (SEGMENT, "keep"),
    "kept_writes": (WRITE, "keep"),
    "replaced_writes": (WRITE, "replace"),
}

#: The rows that the entries of a batch require: the table, and the key in it. `carried` are channel values of earlier checkpoints
#: that a new one refers to; `known` are segments that the writer believes to be stored in the thread; `leases` are those under which
#: entries are written.
BATCH_NEEDS = {"carried": (CHANNEL, VERSION_KEY), "known": (SEGMENT, SEGMENT_KEY), "leases": (LEASE, LEASE_KEY)}


def missing_needs(database: str, need: str) -> Select[Any]:
    """The required keys (`BATCH_NEEDS`) that are not stored. The given keys end with the number of their entry, the rows begin with it."""
    _, key = BATCH_NEEDS[need]
    given_keys = keys_table(database, (*key, "entry_no"))
    entry_no = cast(given_keys.c.entry_no, BigInteger)
    return select(entry_no, *[given_keys.c[name] for name in key]).where(is_missing(database, need, given_keys))


def is_missing(database: str, need: str, given_keys: FromClause) -> ColumnElement[bool]:
    """For each of the given keys, whether the required row is not stored."""
    table, key = BATCH_NEEDS[need]
    return ~exists_for_row(database, select(literal_column("1")).select_from(table).where(*equal_columns(table, given_keys, key)))


def metadata_of(database: str) -> Select[Any]:
    """Key and metadata (as JSON) of those of the given checkpoints that exist."""
    joined, found = rows_with_keys(database, CHECKPOINT, CHECKPOINT_KEY)
    return select(*[found.c[name] for name in CHECKPOINT_KEY], cast(found.c.metadata, Text)).select_from(joined)
