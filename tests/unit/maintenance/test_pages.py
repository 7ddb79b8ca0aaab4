"""Tables and backends are read a page at a time, and an endless table is noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ckptstore.blobs.backends.local import LocalBackend
from ckptstore.errors import DatabaseCorrupt
from ckptstore.maintenance.pages import key_pages, pages


async def read_all(rows: list[Any], page_size: int) -> list[list[Any]]:
    async def read(parameters: dict[str, Any]) -> list[Any]:
        after = [number for number, row in enumerate(rows) if parameters["after"] == row]
        start = after[-1] + 1 if after else 0
        return rows[start : start + parameters["page_size"]]

    return [list(page) async for page in pages(read, {"after": ""}, lambda row: {"after": row}, page_size)]


async def test_every_row_is_read_once_in_its_order() -> None:
    assert await read_all(["a", "b", "c"], 2) == [["a", "b"], ["c"]]
    assert await read_all([], 2) == []


@pytest.mark.parametrize("rows", [["b", "a", "c"], ["a", 5, "c"]])
async def test_rows_out_of_order_end_the_walk(rows: list[Any]) -> None:
    with pytest.raises(DatabaseCorrupt, match="restore a backup"):
        await read_all(rows, 1)


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (4, [2, 2]), (5, [2, 2, 1])])
async def test_keys_of_a_backend_come_in_pages(tmp_path: Path, count: int, sizes: list[int]) -> None:
    backend = LocalBackend(tmp_path)
    keys = {f"ab/abcdef-0{number}" for number in range(count)}
    for key in keys:
        await backend.put(key, b"x")
    found = [page async for page in key_pages(backend, 2)]
    assert [len(page) for page in found] == sizes
    assert {key for page in found for key in page} == keys
