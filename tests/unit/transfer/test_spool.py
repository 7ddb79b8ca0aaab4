"""Rows in a spool come back page by page, also from a file."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore.db.sql.tables import SEGMENT, TAG
from ckptstore.transfer import spool as spool_module
from ckptstore.transfer.spool import Spool


@pytest.mark.parametrize("in_memory", [8 * 1024 * 1024, 10_000])
def test_rows_come_back_in_order_as_often_as_they_are_read(in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "_BYTES_IN_MEMORY", in_memory)
    segments = [("t", str(number), number, "raw", bytes(100), None) for number in range(2_500)]
    tags: list[Any] = [(str(number), True, 2.5, "ü\ud800", 2**63 - 1) for number in range(10)]
    with Spool() as spool:
        for row in segments:
            spool.add(SEGMENT.name, row, 100)
        for row in tags:
            spool.add(TAG.name, row, 0)
        spool.end()
        for _ in range(2):
            pages = list(spool.pages())
            assert [row for kind, rows in pages if kind == SEGMENT.name for row in rows] == segments
            assert [row for kind, rows in pages if kind == TAG.name for row in rows] == tags
        assert (spool._file is None) == (in_memory > 1_000_000)


def test_pages_are_bounded_by_rows_and_bytes() -> None:
    with Spool() as spool:
        for number in range(5):
            spool.add(SEGMENT.name, ("t", str(number), 1, "raw", bytes(3_000_000), None), 3_000_000)
        for number in range(1_500):
            spool.add(TAG.name, (str(number),), 0)
        spool.end()
        assert [len(rows) for _, rows in spool.pages()] == [2, 2, 1_000, 1, 500]
