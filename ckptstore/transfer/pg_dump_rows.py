"""The rows of a dump of PostgreSQL, and a SQLite file made of them: so a dump is restored to either database, and to any schema."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from ckptstore.db import schema
from ckptstore.db.open import open_database
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.tables import VERSION_TABLE
from ckptstore.db.tag_tables import NUMBERED_POSTING, TAG_VALUE, TAG_VALUE_LEFT
from ckptstore.db.url import parse_database_url
from ckptstore.errors import DatabaseCorrupt, SchemaTooNew
from ckptstore.transfer.pg_tools import PgTools, dumped_text

_ROWS_AT_ONCE = 1_000
_BEGIN = re.compile(rb'COPY (?:.*\.)?"?(ckpt_\w+)"? \((.*)\) FROM stdin;\n')
_END = b"\\.\n"
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_MEANINGS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}

# SQLite keeps tags otherwise: their keys and values come back from here.
_INSTEAD = {TAG_VALUE.name: "dumped_value", NUMBERED_POSTING.name: "dumped_posting"}
_OF_TAGS = {
    "dumped_value": "number INTEGER PRIMARY KEY, key TEXT, value TEXT",
    "dumped_posting": "value_no INTEGER, half TEXT, thread_no INTEGER, checkpoint_uuid TEXT, checkpoint_id TEXT, checkpoint_ns TEXT",
}
_TAGS = """
INSERT OR IGNORE INTO ckpt_tag_posting (key, value, checkpoint_id, thread_no, checkpoint_ns)
SELECT key, value, coalesce(checkpoint_uuid, checkpoint_id), thread_no, coalesce(checkpoint_ns, '')
FROM dumped_posting JOIN dumped_value ON number = value_no
"""
_LEFT_OUT = (VERSION_TABLE, TAG_VALUE_LEFT.name)

Cell = str | None


class DumpedRows(NamedTuple):
    """Rows of one table; cells as PostgreSQL writes them, None for NULL."""

    table: str
    columns: list[str]
    rows: Iterator[list[Cell]]


def dumped_rows(text: IO[bytes]) -> Iterator[DumpedRows]:
    """The rows in the output of pg_restore; those of one table end before the next begin."""
    for line in text:
        begin = _BEGIN.fullmatch(line)
        if begin is not None:
            columns = [name.strip('"') for name in begin.group(2).decode().split(", ")]
            yield DumpedRows(begin.group(1).decode(), columns, _rows(text))


def _rows(text: IO[bytes]) -> Iterator[list[Cell]]:
    for line in text:
        if line == _END:
            return
        yield [_cell(cell) for cell in line[:-1].split(b"\t")]


def _cell(cell: bytes) -> Cell:
    if cell == b"\\N":
        return None
    if b"\\" in cell:
        cell = _ESCAPED.sub(lambda found: _MEANINGS.get(found.group(1), found.group(1)), cell)
    return cell.decode()


def make_sqlite_file(tools: PgTools, dump: Path, file: Path) -> None:
    """Make a SQLite file with the rows of a dump, at the dump's revision. Blocks.

    Raises:
        SchemaTooNew: the dump is of a newer release.
        DatabaseCorrupt: the dump has no store in it.
    """
    revision = _revision_of(tools, dump)
    runner = open_database(parse_database_url(file), DatabaseSettings())
    try:
        runner.write(partial(schema.upgrade, revision=revision)).result()
    finally:
        runner.close()
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        # It is made anew if this is interrupted.
        connection.execute("PRAGMA synchronous = OFF")
        with dumped_text(tools, dump) as text, connection:
            connection.execute("BEGIN")
            for table, columns in _OF_TAGS.items():
                connection.execute(f"CREATE TEMPORARY TABLE {table} ({columns})")
            for found in dumped_rows(text):
                if found.table not in _LEFT_OUT:
                    _insert(connection, found._replace(table=_INSTEAD.get(found.table, found.table)))
            connection.execute(_TAGS)


def _revision_of(tools: PgTools, dump: Path) -> str:
    with dumped_text(tools, dump, VERSION_TABLE) as text:
        found = [revision for table in dumped_rows(text) for (revision,) in table.rows]
    if not found or found[0] is None:
        raise DatabaseCorrupt("the dump has no store of ckptstore in it; restore another backup")
    if found[0] not in schema.REVISIONS:
        raise SchemaTooNew(
            f"the backup is of revision {found[0]}, the newest that this release knows is {schema.HEAD}; run: "
            "pip install --upgrade ckptstore"
        )
    return found[0]


def _insert(connection: sqlite3.Connection, found: DumpedRows) -> None:
    kinds = {name: kind for _, name, kind, *_ in connection.execute(f"PRAGMA table_info({found.table})")}
    forms = [_form(kinds[name]) for name in found.columns]
    columns = ", ".join(f'"{name}"' for name in found.columns)
    statement = f"INSERT INTO {found.table} ({columns}) VALUES ({', '.join('?' * len(forms))})"
    cells = ([cell if cell is None else form(cell) for form, cell in zip(forms, row, strict=True)] for row in found.rows)
    while page := list(islice(cells, _ROWS_AT_ONCE)):
        connection.executemany(statement, page)


def _form(kind: str) -> Callable[[str], Any]:
    """What makes a SQLite cell of a PostgreSQL text, by the type of the column."""
    if kind == "BLOB":
        # After \x.
        return lambda cell: bytes.fromhex(cell[2:])
    if kind == "BOOLEAN":
        return lambda cell: cell == "t"
    return int if kind.endswith("INT") or kind == "INTEGER" else str
