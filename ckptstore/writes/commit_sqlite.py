"""Stores a batch on SQLite: all of it with one statement, or all of it in a transaction of `replace`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence, Set
from operator import attrgetter

from ckptstore.db.connection import Db
from ckptstore.db.sql import batch_sqlite
from ckptstore.db.sql.batch_parts import BATCH_NEEDS
from ckptstore.db.sql.tables import Row
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.replace import store_writes
from ckptstore.writes.rows import BatchRows, thread_rows

# One statement takes at most 1,024 rows. Each number of rows is a statement that is compiled and kept, so more than those of a put are
# padded to a multiple of 8.
_MAX_ROWS = 1024
_MAX_UNPADDED_ROWS = 16
_ROWS_MULTIPLE = 8
# The parts of batches for which a connection has triggers.
_PARTS = "ckpt_batch"
# Whether a connection has stored something.
_USED = "ckpt_used"
_TOUCHES_OBJECTS = attrgetter("touches_objects")


def commit(db: Db, batch: Sequence[EncodedWrite]) -> Sequence[MissingParts | None]:
    """Make a batch durable, see `commit.commit_batch`."""
    if insert(db, batch):
        return [None] * len(batch)
    with db.transaction():
        missing = store_writes(db, dict(enumerate(batch)))
    return [missing.get(number) for number in range(len(batch))]


def insert(db: Db, batch: Sequence[EncodedWrite]) -> bool:
    """Make a batch durable with one statement; False, with nothing stored, if it needs a transaction that looks at what exists.

    The first write on a connection has a transaction of what the triggers would do: to create them, and to compile the statement that fires
    them, takes longer, and many savers are opened for a single write.
    """
    if any(map(_TOUCHES_OBJECTS, batch)):
        return False
    parts: dict[str, Sequence[Row]] = {**BatchRows(enumerate(batch)).parts, "threads": thread_rows(batch)}
    rows = batch_sqlite.view_rows(parts)
    if len(rows) > _MAX_ROWS:
        return False
    if len(rows) > _MAX_UNPADDED_ROWS:
        rows += [batch_sqlite.EMPTY] * (-len(rows) % _ROWS_MULTIPLE)
    try:
        if not parts.keys() <= db.kept.get(_PARTS, frozenset()):
            if len(rows) <= _MAX_UNPADDED_ROWS and len(batch) == 1 and parts.keys().isdisjoint(BATCH_NEEDS) and _is_first(db):
                _insert_each(db, rows)
                return True
            _create_triggers(db, parts.keys())
        db.run_rows(batch_sqlite.insert_batch, rows)
    except sqlite3.IntegrityError:
        # A required row is missing, or a checkpoint exists already.
        return False
    return True


def _create_triggers(db: Db, parts: Set[str]) -> None:
    """Create the triggers for parts that no batch on this connection had before. Each takes as long as to insert several rows."""
    present: Set[str] | None = db.kept.get(_PARTS)
    if present is None:
        db.execute(batch_sqlite.batch_view())
        present = frozenset()
    for part in sorted(parts - present):
        db.execute(batch_sqlite.batch_trigger(part))
    db.kept[_PARTS] = present | parts


def _is_first(db: Db) -> bool:
    """Whether nothing was stored so on this connection; never where each statement would take a switch of threads."""
    first = not db.runs_apart and _PARTS not in db.kept and _USED not in db.kept
    db.kept[_USED] = True
    return first


def _insert_each(db: Db, rows: Sequence[Row]) -> None:
    with db.transaction():
        for row in rows:
            for text, places in batch_sqlite.row_statements(row[0]):
                db.execute(text, tuple(row[place] for place in places))
