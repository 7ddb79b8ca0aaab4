"""What the copy of a database in a backup has: how many threads and checkpoints, and which objects it refers to or registers."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ckptstore.db.sql.tables import OBJECT, SEGMENT, THREAD
from ckptstore.errors import DatabaseCorrupt
from ckptstore.transfer.pg_dump_rows import Cell, dumped_rows
from ckptstore.transfer.pg_tools import PgTools, dumped_text


class BackedUpObject(NamedTuple):
    """An object in blob storage."""

    key: str
    #: SHA-256 in hexadecimal.
    digest: str
    size: int


@dataclass(slots=True)
class BackupContents:
    """What a copy of a database has."""

    threads: int = 0
    checkpoints: int = 0
    #: By key; without those that the collector may be about to delete.
    objects: list[BackedUpObject] = field(default_factory=list)


_OBJECTS = """
SELECT key, digest, size FROM ckpt_object AS object
WHERE state = 'live' OR (state = 'marked' AND EXISTS (SELECT * FROM ckpt_segment WHERE object_key = object.key))
ORDER BY key
"""


def contents_of_file(file: Path) -> BackupContents:
    """What a SQLite file has.

    Raises:
        DatabaseCorrupt: it can't be read, or a row was altered.
    """
    objects = [BackedUpObject(*row) for row in _rows(file, _OBJECTS, (str, str, int))]
    ((threads, checkpoints),) = _rows(file, "SELECT count(*), coalesce(sum(checkpoint_count), 0) FROM ckpt_thread", (int, int))
    return BackupContents(threads, checkpoints, objects)


def _rows(file: Path, query: str, types: tuple[type, ...]) -> list[Any]:
    try:
        with closing(sqlite3.connect(file)) as connection:
            rows = connection.execute(query).fetchall()
    except (sqlite3.Error, UnicodeDecodeError) as exc:
        raise DatabaseCorrupt(
            f"the copy of the database can't be read ({type(exc).__name__}); find out more with averify(deep=True)"
        ) from exc
    if any(tuple(map(type, row)) != types for row in rows):
        raise DatabaseCorrupt("a row of the database was altered: a cell has another type than its column; find it with averify(deep=True)")
    return rows


def contents_of_dump(tools: PgTools, file: Path) -> BackupContents:
    """What a dump of PostgreSQL has; so it is read once before it is kept.

    Raises:
        InvalidConfig: pg_restore can't read it.
    """
    contents = BackupContents()
    marked: dict[str, BackedUpObject] = {}
    with dumped_text(tools, file, THREAD.name, OBJECT.name) as text:
        for found in dumped_rows(text):
            for row in found.rows:
                cells = dict(zip(found.columns, row, strict=True))
                if found.table == THREAD.name:
                    contents.threads += 1
                    contents.checkpoints += int(cells["checkpoint_count"] or 0)
                elif cells["state"] == "live":
                    contents.objects.append(_object(cells))
                elif cells["state"] == "marked":
                    marked[str(cells["key"])] = _object(cells)
    if marked:
        contents.objects += [marked[key] for key in _referred_to(tools, file) & marked.keys()]
    contents.objects.sort()
    return contents


def _object(cells: dict[str, Cell]) -> BackedUpObject:
    return BackedUpObject(str(cells["key"]), str(cells["digest"]), int(cells["size"] or 0))


def _referred_to(tools: PgTools, file: Path) -> set[str]:
    with dumped_text(tools, file, SEGMENT.name) as text:
        return {key for found in dumped_rows(text) for row in found.rows if (key := row[found.columns.index("object_key")]) is not None}
