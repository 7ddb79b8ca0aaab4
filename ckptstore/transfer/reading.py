"""Reading all rows of threads in one snapshot, with little memory: of a large thread, a few megabytes at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Table

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import Row
from ckptstore.db.sql.transfer import THREAD_TABLES, key_in_thread

#: Threads are read together as long as they have no more than this.
MAX_ROWS, MAX_BYTES = 20_000, 8 * 1024 * 1024
_MARKS_PER_PAGE = 2_000
_BYTES_PER_READ = 4 * 1024 * 1024
_ROWS_PER_READ = 1_000
_LEAST_INTEGER = -(2**63)
#: Takes a row, with the columns of its table.
Visit = Callable[[Table, Row], None]


class Marks(NamedTuple):
    """A row without its payload."""

    key: Row
    #: The bytes of its payload.
    bytes: int
    checksum: int | None


def fit_together(db: Db, thread_ids: Sequence[str]) -> bool:
    """Whether threads are small enough to be read together."""
    sizes = db.run(sql.transfer.sizes_of_threads, db.key_parameters(("thread_id",), [(each,) for each in thread_ids])).all()
    return bool(sum(rows for rows, _ in sizes) <= MAX_ROWS and sum(size for _, size in sizes) <= MAX_BYTES)


def read_together(db: Db, thread_ids: Sequence[str], visit: Visit) -> None:
    """Visit all rows of some small threads."""
    keys = db.key_parameters(("thread_id",), [(each,) for each in thread_ids])
    for table in THREAD_TABLES:
        for row in db.run(sql.transfer.rows_of_threads, keys, table):
            visit(table, tuple(row))


def read_thread(db: Db, thread_id: str, tables: Iterable[Table], wants: Callable[[Table, Marks], bool], visit: Visit) -> None:
    """Visit those rows of a thread that are wanted.

    Args:
        db: within a snapshot.
        thread_id: the thread.
        tables: of which tables.
        wants: whether a row is wanted; called for every row before its payload is read.
        visit: called with each wanted row.
    """
    for table in tables:
        for page in marks_of(db, thread_id, table):
            wanted = [wants(table, marks) for marks in page]
            for first, last in _runs(page, wanted):
                for row in db.run(sql.transfer.rows_between, _between(table, thread_id, first, last), table):
                    visit(table, tuple(row))


def marks_of(db: Db, thread_id: str, table: Table) -> Iterator[list[Marks]]:
    """The rows of a thread in one table without their payloads, in the order of their keys, a page at a time."""
    names = key_in_thread(table)
    last: Sequence[Any] = [_LEAST_INTEGER if name == "idx" else "" for name in names]
    while True:
        parameters = {"thread_id": thread_id, "page_size": _MARKS_PER_PAGE}
        parameters |= {f"after_{name}": value for name, value in zip(names, last, strict=True)}
        page = [Marks(tuple(key), size, checksum) for *key, size, checksum in db.run(sql.transfer.marks_page, parameters, table)]
        if page:
            yield page
        if len(page) < _MARKS_PER_PAGE:
            return
        last = page[-1].key


def _runs(page: Iterable[Marks], wanted: Iterable[bool]) -> Iterator[tuple[Row, Row]]:
    """First and last key of each run of wanted rows without an unwanted one between them; a run is as long as one read may be."""
    first: Row | None = None
    last: Row = ()
    rows = size = 0
    for marks, is_wanted in zip(page, wanted, strict=True):
        if first is not None and (not is_wanted or rows == _ROWS_PER_READ or size + marks.bytes > _BYTES_PER_READ):
            yield first, last
            first = None
        if is_wanted:
            if first is None:
                first, rows, size = marks.key, 0, 0
            last, rows, size = marks.key, rows + 1, size + marks.bytes
    if first is not None:
        yield first, last


def _between(table: Table, thread_id: str, first: Row, last: Row) -> dict[str, Any]:
    parameters: dict[str, Any] = {"thread_id": thread_id}
    for name, low, high in zip(key_in_thread(table), first, last, strict=True):
        parameters |= {f"first_{name}": low, f"last_{name}": high}
    return parameters
