"""Verification of what the rows themselves hold: checkpoints, values and writes by their checksums, and the types of all cells."""

from __future__ import annotations

import asyncio

from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.tag_tables import TABLES_OF_FILE
from ckptstore.maintenance.reports import VerifyReport
from ckptstore.maintenance.row_pages import ROW_KINDS, row_pages
from ckptstore.reads.row_checks import altered

_ROWS_PER_PAGE = 500
# If a file is damaged throughout, the first faults say enough.
_MAX_FAULTS = 20


async def check_rows(objects: ObjectRegistry, report: VerifyReport) -> None:
    """Compare every row that has a checksum with it, and count those that have none."""
    for kind in ROW_KINDS:
        async for rows in row_pages(objects, kind, _ROWS_PER_PAGE):
            report.rows += len(rows)
            report.unchecked_rows += sum(row.checksum is None for row in rows)
            report.corrupt += map(str, await asyncio.to_thread(altered, rows))


def wrong_cells(db: Db) -> list[str]:
    """The columns in which SQLite has cells of another type; not each has a checksum over it. PostgreSQL enforces the types."""
    if not db.on_sqlite:
        return []
    found: list[str] = []
    for table in TABLES_OF_FILE:
        (counts,) = db.scan(sql.verify.wrong_cells, {}, table)
        wrong = [(column.name, count) for column, count in zip(table.columns, counts, strict=True) if count]
        found += [f"{count} cells of {table.name}.{name} have another type than their column" for name, count in wrong]
    return found


def database_faults(db: Db) -> list[str]:
    """What SQLite finds wrong in its file: pages, the order of keys, and indexes; PostgreSQL is not asked."""
    if not db.on_sqlite:
        return []
    found = [str(line) for (line,) in db.execute(f"PRAGMA integrity_check({_MAX_FAULTS})")]
    return [] if found == ["ok"] else found
