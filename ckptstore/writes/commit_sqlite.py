"""Stores a batch on SQLite: all of it with one statement, or all of it in a transaction of `replace`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from operator import attrgetter

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.replace import store_writes
from ckptstore.writes.rows import BatchRows, thread_rows

# One statement takes at most 1,024 rows, padded to a multiple of 8: each number of rows is a statement that is compiled and kept.
_MAX_ROWS = 1024
_ROWS_MULTIPLE = 8
_HAS_VIEW = "ckpt_batch"
_TOUCHES_OBJECTS = attrgetter("touches_objects")


def commit(db: Db, batch: Sequence[EncodedWrite]) -> Sequence[MissingParts | None]:
    """Make a batch durable, see `commit.commit_batch`."""
    if insert(db, batch):
        return [None] * len(batch)
    with db.transaction():
        missing = store_writes(db, dict(enumerate(batch)))
    return [missing.get(number) for number in range(len(batch))]


def insert(db: Db, batch: Sequence[EncodedWrite]) -> bool:
    """Make a batch durable with one statement; False, with nothing stored, if it needs a transaction that looks at what exists."""
    if any(map(_TOUCHES_OBJECTS, batch)):
        return False
    rows = sql.batch_sqlite.view_rows({**BatchRows(enumerate(batch)).parts, "threads": thread_rows(batch)}, _ROWS_MULTIPLE)
    if len(rows) > _MAX_ROWS:
        return False
    if _HAS_VIEW not in db.connection.info:
        for text in sql.batch_sqlite.batch_view():
            db.execute(text)
        db.connection.info[_HAS_VIEW] = True
    try:
        db.run_rows(sql.batch_sqlite.insert_batch, rows)
    except sqlite3.IntegrityError:
        # A required row is missing, or a checkpoint exists already.
        return False
    return True
