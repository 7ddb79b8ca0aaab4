"""The space that tables and indexes take, as the database itself knows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.shard_health import ShardHealth, read_shard_health
from ckptstore.db.sql.tables import CLUSTERED_TABLES

# Reading every page of a larger SQLite file takes seconds.
_MAX_FILE_BYTES = 512 * 1024 * 1024


class TableSize(NamedTuple):
    """A table, with its partitions."""

    name: str
    #: None where the database does not know: PostgreSQL before the first ANALYZE.
    rows: int | None
    #: Without indexes; with what is stored apart from the rows (TOAST).
    bytes: int
    index_bytes: int
    #: Versions of rows that were deleted or changed, until a vacuum; None on SQLite.
    dead_rows: int | None = None
    #: False where an index was built without success, so that no statement uses it.
    indexes_are_valid: bool = True


class TableSizes(NamedTuple):
    """The tables of a store."""

    tables: Sequence[TableSize]
    #: All of them; on SQLite, the file.
    bytes: int
    #: Pages of a SQLite file that hold nothing; None on PostgreSQL.
    free_bytes: int | None
    #: Why `tables` is empty; None if it is not.
    reason: str | None = None


def table_sizes(db: Db, *, full: bool) -> TableSizes:
    """Measure the tables. On PostgreSQL from its catalogue, where the number of rows is that of the last ANALYZE.

    Args:
        db: within a snapshot.
        full: read every page of a SQLite file, however large it is.
    """
    return _of_file(db, full=full) if db.on_sqlite else _of_catalogue(db)


def _of_file(db: Db, *, full: bool) -> TableSizes:
    page_count, page_size, free_pages = (_pragma(db, name) for name in ("page_count", "page_size", "freelist_count"))
    size, free = page_count * page_size, free_pages * page_size
    if ("ENABLE_DBSTAT_VTAB",) not in [tuple(row) for row in db.execute("PRAGMA compile_options")]:
        return TableSizes([], size, free, "this SQLite was built without dbstat, the table of a file's pages")
    if size > _MAX_FILE_BYTES and not full:
        return TableSizes([], size, free, f"the file has more than {_MAX_FILE_BYTES} bytes, and all of them would be read")
    tables: dict[str, TableSize] = {}
    for table, name, found_bytes, cells, leaf_cells in db.run(sql.stats.pages_of_file):
        known = tables.get(table, TableSize(table, None, 0, 0))
        if table != name:
            tables[table] = known._replace(index_bytes=known.index_bytes + found_bytes)
        else:
            # The tree of a table without row ids has rows in its inner pages, too.
            rows = cells if table in CLUSTERED_TABLES else leaf_cells
            tables[table] = known._replace(rows=rows, bytes=found_bytes)
    return TableSizes(list(tables.values()), size, free)


def _pragma(db: Db, name: str) -> int:
    value: int = db.execute(f"PRAGMA {name}").scalar_one()
    return value


def _of_catalogue(db: Db) -> TableSizes:
    rows = db.run(sql.stats.tables_in_catalogue, {"schema": db.statements.schema})
    tables = [TableSize(name, count, own, indexes, dead, valid) for name, own, indexes, count, dead, valid in rows]
    if not db.abilities.database.one_snapshot:
        tables = _on_shards(db, tables)
    return TableSizes(tables, sum(table.bytes + table.index_bytes for table in tables), None)


def _on_shards(db: Db, tables: Sequence[TableSize]) -> list[TableSize]:
    shards, unknown = read_shard_health(db), ShardHealth(is_analysed=False)
    return [_with_health(table, shards.get(table.name, unknown)) for table in tables]


def _with_health(table: TableSize, health: ShardHealth) -> TableSize:
    rows = health.analysed_rows if health.is_analysed else None
    valid = table.indexes_are_valid and not health.invalid_indexes
    return table._replace(rows=rows, dead_rows=health.dead_rows, indexes_are_valid=valid)
