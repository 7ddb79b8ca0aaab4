from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ckptstore.langgraph.imports.spooled import SpooledThreads
from ckptstore.transfer.record_source import Imported
from ckptstore.transfer.spool import Spool


async def read(threads: SpooledThreads, thread_id: str) -> list[Any]:
    return [found.record async for found in threads.records(thread_id)]


async def test_each_thread_has_its_rows_in_order_as_often_as_asked() -> None:
    def make(thread_id: str, rows: Iterable[tuple[Any, ...]]) -> Iterator[Imported]:
        made: Any = [(thread_id, *row) for row in rows]
        yield from map(Imported, made)

    spool = Spool()
    for number in range(1_500):
        spool.add("a", (number,), 0)
        spool.add("b", (-number,), 0)
    spool.end()
    threads = SpooledThreads(spool, make)
    for _ in range(2):
        assert await read(threads, "a") == [("a", number) for number in range(1_500)]
        assert await read(threads, "b") == [("b", -number) for number in range(1_500)]
        assert await read(threads, "c") == []
    threads.close()
