"""Rows on their way from one store to another: in memory while they are few, in a temporary file beyond."""

from __future__ import annotations

import marshal
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

from sqlalchemy import Table

from ckptstore.db.models import Base
from ckptstore.db.sql.tables import Row

_ROWS_PER_PAGE = 1_000
_BYTES_PER_PAGE = 4 * 1024 * 1024
# Of pages; several spools are in memory at a time.
_BYTES_IN_MEMORY = 8 * 1024 * 1024
# What a row takes besides its payload.
_BYTES_PER_ROW = 200


class Page(NamedTuple):
    """Some rows of one table, with its columns in order."""

    table: Table
    rows: list[Row]


class Spool:
    """Rows of several tables, a page at a time. They can be read again and again, so that a transaction can be repeated.

    It is a context manager: at its end the temporary file is closed, and gone. One reader at a time.
    """

    def __init__(self) -> None:
        self._open: dict[str, tuple[list[Row], int]] = {}
        self._pages: list[tuple[str, list[Row]]] = []
        self._bytes = 0
        #: It has no name: a process that is killed leaves nothing behind.
        self._file: IO[bytes] | None = None

    def add(self, table: Table, row: Row, payload_bytes: int) -> None:
        """Add a row.

        Args:
            table: its table.
            row: its cells, all of them texts, numbers, bytes, booleans or None.
            payload_bytes: about how many bytes it has.
        """
        # SQLAlchemy's names are of a class of its own, which can't be written to a file.
        name = str.__str__(table.name)
        rows, size = self._open.get(name) or ([], 0)
        rows.append(row)
        size += payload_bytes + _BYTES_PER_ROW
        self._open[name] = (rows, size)
        if len(rows) >= _ROWS_PER_PAGE or size >= _BYTES_PER_PAGE:
            self._close_page(name)

    def _close_page(self, table: str) -> None:
        rows, size = self._open.pop(table)
        if self._file is None and self._bytes + size > _BYTES_IN_MEMORY:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        if self._file is None:
            self._pages.append((table, rows))
            self._bytes += size
        else:
            marshal.dump((table, rows), self._file)

    def end(self) -> None:
        """No row follows."""
        for table in list(self._open):
            self._close_page(table)

    def pages(self) -> Iterator[Page]:
        """All pages, after `end`."""
        for table, rows in self._pages:
            yield Page(Base.metadata.tables[table], rows)
        if self._file is None:
            return
        self._file.seek(0)
        while page := _load(self._file):
            yield Page(Base.metadata.tables[page[0]], page[1])

    def close(self) -> None:
        """Close the temporary file."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        """The spool itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        """Call `close`."""
        self.close()


def _load(file: IO[bytes]) -> Any:
    try:
        # Written by this process, to a file that only its user can open.
        return marshal.load(file)  # noqa: S302
    except EOFError:
        return None
