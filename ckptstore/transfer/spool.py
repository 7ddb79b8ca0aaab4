"""Rows on their way from one store to another: in memory while they are few, in a temporary file beyond."""

from __future__ import annotations

import marshal
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import IO, NamedTuple, Self

from ckptstore.db.sql.tables import Row

_ROWS_PER_PAGE = 1_000
_BYTES_PER_PAGE = 4 * 1024 * 1024
# How much of its pages one spool keeps in memory; there are several at a time.
_BYTES_IN_MEMORY = 8 * 1024 * 1024
# What a row takes besides its payload.
_BYTES_PER_ROW = 200


class Page(NamedTuple):
    """Some rows of one kind."""

    kind: str
    rows: list[Row]


class Spool:
    """Rows of several kinds, mostly tables, a page at a time. They can be read again and again, so that a transaction can be repeated.

    It is a context manager: at its end the temporary file is closed, and gone. One reader at a time.
    """

    def __init__(self) -> None:
        self._open: dict[str, tuple[list[Row], int]] = {}
        #: Kind and rows of each page, or where it is in the file.
        self._pages: list[tuple[str, list[Row] | int]] = []
        self._bytes = 0
        #: It has no name: a process that is killed leaves nothing behind.
        self._file: IO[bytes] | None = None

    def add(self, kind: str, row: Row, payload_bytes: int) -> None:
        """Add a row.

        Args:
            kind: the name of its table, for example. Rows of one kind stay in their order.
            row: its cells, all of them texts, numbers, bytes, booleans or None.
            payload_bytes: about how many bytes it has.
        """
        # SQLAlchemy's names of tables are of a class of its own, which can't be written to a file.
        kind = str.__str__(kind)
        rows, size = self._open.get(kind) or ([], 0)
        rows.append(row)
        size += payload_bytes + _BYTES_PER_ROW
        self._open[kind] = (rows, size)
        if len(rows) >= _ROWS_PER_PAGE or size >= _BYTES_PER_PAGE:
            self._close_page(kind)

    def _close_page(self, kind: str) -> None:
        rows, size = self._open.pop(kind)
        if self._file is None and self._bytes + size > _BYTES_IN_MEMORY:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        if self._file is None:
            self._pages.append((kind, rows))
            self._bytes += size
        else:
            self._pages.append((kind, self._file.tell()))
            marshal.dump(rows, self._file)

    def end(self) -> None:
        """No row follows."""
        for kind in list(self._open):
            self._close_page(kind)

    def pages(self, of: str | None = None) -> Iterator[Page]:
        """All pages, or those of one kind, after `end`."""
        for kind, rows in self._pages:
            if of is None or kind == of:
                yield Page(kind, self._load(rows) if isinstance(rows, int) else rows)

    def _load(self, position: int) -> list[Row]:
        assert self._file is not None
        self._file.seek(position)
        # Written by this process, to a file that nobody else can open.
        rows: list[Row] = marshal.load(self._file)  # noqa: S302
        return rows

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
