"""Every row that has a checksum comes once, in the order of its key, whatever the size of a page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.maintenance import pages as maintenance_pages
from ckptstore.maintenance.row_pages import ROW_KINDS, RowKind, row_pages
from ckptstore.maintenance.verify_segments import read_segments
from ckptstore.reads.row_checks import altered
from ckptstore.reads.rows import CheckpointRow, StoredRow
from ckptstore.runtime.wakeups import settled
from tests.support.build import checkpoint, config, metadata
from tests.support.checked_rows import fill, run


async def pages_of(saver: SQLAlchemySaver, kind: RowKind, page_size: int) -> list[list[tuple[object, ...]]]:
    names = [column.name for column in kind.table.primary_key]

    async def read() -> list[list[tuple[object, ...]]]:
        found = row_pages(saver.store.objects, kind, page_size)
        return [[tuple(getattr(row, name) for name in names) for row in page] async for page in found]

    return await settled(saver.store.objects.run(read()))


@pytest.mark.parametrize("kind", ROW_KINDS, ids=lambda kind: kind.table.name)
async def test_pages_of_every_size(lasting_url: str, kind: RowKind) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        for thread_id in ("a", "b", "c"):
            await fill(saver, thread_id)
        # A special channel's write has a negative index: it comes before the others of its task.
        where = (await saver.alist(None))[0].config
        await saver.aput_writes(where, [("__error__", "it failed")], "task")
        columns = ", ".join(column.name for column in kind.table.primary_key)
        wanted = sorted(run(saver, f"SELECT {columns} FROM {kind.table.name}"))
        for page_size in (1, 2, len(wanted), 100):
            pages = await pages_of(saver, kind, page_size)
            assert [key for page in pages for key in page] == wanted
            assert max(map(len, pages)) == min(page_size, len(wanted))


@pytest.mark.parametrize("kind", ROW_KINDS, ids=lambda kind: kind.table.name)
async def test_a_row_that_was_altered_is_found_among_its_page(lasting_url: str, kind: RowKind) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await fill(saver)

        async def altered_rows() -> int:
            return sum([len(altered(page)) async for page in row_pages(saver.store.objects, kind, 10)])

        assert await settled(saver.store.objects.run(altered_rows())) == 0
        ((number,),) = run(saver, f"SELECT count(*) FROM {kind.table.name}")
        run(saver, f"UPDATE {kind.table.name} SET type = 'other'")
        assert await settled(saver.store.objects.run(altered_rows())) == number


@pytest.mark.parametrize("lasting_url", ["sqlite", "asyncpg"], indirect=True)
async def test_a_page_has_few_rows_if_they_are_large(lasting_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of many MiB: a page of hundreds of them would not fit into the memory."""
    monkeypatch.setattr(maintenance_pages, "_MAX_PAGE_BYTES", 100_000)
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        for number in range(6):
            made = checkpoint({"value": os.urandom(45_000)}, {"value": "1"})
            await saver.aput(config(f"t{number}"), made, metadata(text=str(number) * 40_000), {"value": "1"})
        sizes = [
            [len(row.metadata) for row in page if isinstance(row, CheckpointRow)]
            for page in await settled(saver.store.objects.run(_all_pages(saver, ROW_KINDS[0])))
        ]
        assert [len(page) for page in sizes] == [2, 2, 2]
        assert (await saver.averify(deep=True)).ok
        read = partial(read_segments, True, parameters={"after_thread_id": "", "after_digest": "", "page_size": 500})
        segments = await settled(saver.store.runner.read(read))
        assert 1 < len(segments) < 6
        assert sum(len(each.data or b"") for each in segments) <= 100_000


async def _all_pages(saver: SQLAlchemySaver, kind: RowKind) -> list[Sequence[StoredRow]]:
    return [page async for page in row_pages(saver.store.objects, kind, 200)]
