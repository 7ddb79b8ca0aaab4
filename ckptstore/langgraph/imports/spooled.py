"""Rows of threads that were read in one snapshot, and are made into records afterwards."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from typing import Any

from ckptstore.transfer.record_source import Imported
from ckptstore.transfer.spool import Spool

#: Makes records of the rows of a thread, which are in order.
Make = Callable[[str, Iterable[tuple[Any, ...]]], Iterator[Imported]]


class SpooledThreads:
    """Threads whose rows are in a spool, each under its id.

    Args:
        spool: the rows.
        make: makes records of them.
    """

    def __init__(self, spool: Spool, make: Make) -> None:
        self._spool = spool
        self._make = make

    async def records(self, thread_id: str) -> AsyncGenerator[Imported, None]:
        """See `ThreadRecords.records`."""
        rows = (row for _, page in self._spool.pages(thread_id) for row in page)
        for record in self._make(thread_id, rows):
            yield record

    def close(self) -> None:
        """See `ThreadRecords.close`."""
        self._spool.close()
