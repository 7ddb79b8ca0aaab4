"""Verification of what the rows themselves hold: checkpoints, values and writes, by their checksums."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Table

from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.maintenance.pages import pages
from ckptstore.maintenance.reports import VerifyReport
from ckptstore.reads.rows import (
    ChannelRow,
    CheckpointRow,
    StoredRow,
    WriteRow,
    altered_channels,
    altered_checkpoints,
    altered_writes,
)

_ROWS_PER_PAGE = 500
_LEAST_INTEGER = -(2**63)
# Of a file that is damaged throughout, the first faults say enough.
_MAX_FAULTS = 20


class _Kind(NamedTuple):
    """One of the tables whose rows have checksums."""

    table: Table
    row: Callable[..., StoredRow]
    altered: Callable[[Any], Sequence[StoredRow]]


_KINDS = (
    _Kind(sql.tables.CHECKPOINT, CheckpointRow, altered_checkpoints),
    _Kind(sql.tables.CHANNEL, ChannelRow, altered_channels),
    _Kind(sql.tables.WRITE, WriteRow, altered_writes),
)


async def check_rows(objects: ObjectRegistry, report: VerifyReport) -> None:
    """Compare every row that has a checksum with it, and count those that have none."""
    for kind in _KINDS:
        names = [column.name for column in kind.table.primary_key]
        start = {f"after_{name}": _LEAST_INTEGER if name == "idx" else "" for name in names}
        async for rows in pages(partial(_read, objects, kind), start, partial(_after, names), _ROWS_PER_PAGE):
            report.rows += len(rows)
            report.unchecked_rows += sum(row.checksum is None for row in rows)
            report.corrupt += map(str, await asyncio.to_thread(kind.altered, rows))


async def _read(objects: ObjectRegistry, kind: _Kind, parameters: dict[str, Any]) -> Sequence[StoredRow]:
    return [kind.row(*row) for row in await objects.scan(sql.verify.rows_after, parameters, kind.table)]


def _after(names: Sequence[str], last: StoredRow) -> dict[str, Any]:
    return {f"after_{name}": getattr(last, name) for name in names}


def database_faults(db: Db) -> list[str]:
    """What SQLite finds wrong in its file: pages, the order of keys, and indexes; PostgreSQL is not asked."""
    if not db.on_sqlite:
        return []
    found = [str(line) for (line,) in db.execute(f"PRAGMA integrity_check({_MAX_FAULTS})")]
    return [] if found == ["ok"] else found
