"""The rows that have checksums, a page at a time: checkpoints, channels' values, writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Table

from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.maintenance.pages import pages, within_bytes
from ckptstore.reads.rows import ChannelRow, CheckpointRow, StoredRow, WriteRow

_LEAST_INTEGER = -(2**63)


class RowKind(NamedTuple):
    """One of the tables whose rows have checksums."""

    table: Table
    row: Callable[..., StoredRow]


ROW_KINDS = (
    RowKind(sql.tables.CHECKPOINT, CheckpointRow),
    RowKind(sql.tables.CHANNEL, ChannelRow),
    RowKind(sql.tables.WRITE, WriteRow),
)


def row_pages(objects: ObjectRegistry, kind: RowKind, page_size: int) -> AsyncIterator[Sequence[StoredRow]]:
    """All rows of one table in the order of their keys; see `pages`."""
    names = [column.name for column in kind.table.primary_key]
    start = {f"after_{name}": _LEAST_INTEGER if name == "idx" else "" for name in names}
    return pages(partial(_read, objects, kind), start, partial(_after, names), page_size)


async def _read(objects: ObjectRegistry, kind: RowKind, parameters: dict[str, Any]) -> Sequence[StoredRow]:
    def work(db: Db) -> Sequence[Any]:
        db.expect_long()
        with db.snapshot():
            return db.run(sql.verify.rows_after, within_bytes(db, kind.table, parameters), kind.table).all()

    return [kind.row(*row) for row in await objects.read(work)]


def _after(names: Sequence[str], last: StoredRow) -> dict[str, Any]:
    return {f"after_{name}": getattr(last, name) for name in names}
