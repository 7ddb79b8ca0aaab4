"""SQLite files in which somebody altered the cells of a column, whatever the table allows."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from sqlalchemy import Table

from ckptstore import SQLAlchemySaver
from ckptstore.db.tag_tables import TABLES_OF_FILE, TAG_THREAD
from tests.support.build import chain, config, put

#: Every column of every table. SQLite itself keeps the column of a table's row ids.
COLUMNS = [(table, column.name) for table in TABLES_OF_FILE for column in table.columns if column is not TAG_THREAD.c.number]
#: Cells that no writer of ours makes: of another type, far too large or too long, negative, empty, of another charset. Each column gets
#: one of them, and NULL.
CELLS = [
    "'text'",
    "x'ff00'",
    "1e300",
    "9223372036854775807",
    "-9223372036854775808",
    "'[1]'",
    "'{\"a\": 1}'",
    "CAST(x'ff41' AS TEXT)",
    "-1",
    "hex(zeroblob(60000))",
    "'a' || char(0) || 'b'",
    "CAST(x'eda080' AS TEXT)",
    "''",
    "x''",
    "'[-1, 99999999999]'",
]


async def fill(path: Path) -> None:
    """Threads with rows in every table, tags, objects, a delta channel's counters, and a write without a checkpoint."""
    async with SQLAlchemySaver.from_conn_string(path) as saver:
        where = await put(saver, config("t"), {"list": [{"x": "word " * 900}], "n": 1, "file": bytes(70_000)}, user="ann", run_id="r")
        await saver.aput_writes(where, [("list", ["y" * 900])], "task")
        where = await put(saver, where, {"list": [2] * 50}, 1, user="ann", counters_since_delta_snapshot={"list": [1, 0]})
        parents = {"": where["configurable"]["checkpoint_id"]}
        await put(saver, config("t", checkpoint_ns="inner:1"), {"list": [2] * 50}, 1, user="ann", parents=parents)
        await chain(saver, "u", 3, run_id="r")
        await saver.aput_writes(config("u", "ffff"), [("n", ["q" * 50])], "early")


def altered(intact: Path, path: Path, table: Table, column: str, cell: str, *, checksums: bool) -> Path:
    """A copy of a file, with a cell in every row of a column; without the rows' checksums, as rows of old releases have none."""
    shutil.copyfile(intact, path)
    shutil.copytree(f"{intact}.blobs", f"{path}.blobs", dirs_exist_ok=True)
    connection = sqlite3.connect(path)
    with connection:
        if cell == "NULL":
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '') WHERE name = ?", (table.name,))
            connection.execute("PRAGMA writable_schema = RESET")
        if "checksum" in table.columns and not checksums:
            connection.execute(f"UPDATE {table.name} SET checksum = NULL")
        connection.execute(f"UPDATE OR IGNORE {table.name} SET {column} = {cell}")
    connection.close()
    return path
