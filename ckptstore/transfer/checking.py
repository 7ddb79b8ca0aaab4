"""Reading what a transfer stored, and comparing it with what the source had."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Table

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import Row
from ckptstore.errors import CheckpointCorrupt
from ckptstore.transfer.own_source import rows_of
from ckptstore.transfer.parcel import Stamp, stamp_of
from ckptstore.transfer.reading import Marks, fit_together, read_thread, read_together
from ckptstore.transfer.row_hash import checked, row_hash


def check_stored(db: Db, stamps: dict[str, Stamp], expected: set[int]) -> int:
    """Read threads of the target, check every row by its checksum or digest, and compare them with the source's.

    Args:
        db: the target.
        stamps: the stamp with which each thread was stored; one that was written to since is not compared.
        expected: `row_hash` of the rows that must be there.

    Returns:
        How many rows were compared.

    Raises:
        CheckpointCorrupt: rows are missing or differ.
    """
    db.expect_long()
    missing = set(expected)
    with db.snapshot():
        found = rows_of(db, list(stamps))
        unchanged = [each for each, row in found.items() if stamp_of(row) == stamps[each]]
        if len(unchanged) < len(stamps):
            # Its own savers write to them already: what they stored is not the source's.
            return 0
        _visit_all(db, unchanged, missing)
    if missing:
        names = ", ".join(repr(each) for each in list(stamps)[:3])
        raise CheckpointCorrupt(f"{len(missing)} rows of threads {names} are missing at the target, or differ there; copy them again")
    return len(expected)


def _visit_all(db: Db, thread_ids: Sequence[str], missing: set[int]) -> None:
    def visit(table: Table, row: Row) -> None:
        missing.discard(row_hash(table.name, checked(table, row)))

    if fit_together(db, thread_ids):
        read_together(db, thread_ids, visit)
        return
    for each in thread_ids:
        read_thread(db, each, sql.transfer.THREAD_TABLES, _everything, visit)


def _everything(_table: Table, _marks: Marks) -> bool:
    return True
