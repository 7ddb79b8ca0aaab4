"""Reading a large thread in pieces gives the rows that reading it at once gives; with small bounds, to see many pieces."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db.connection import Db
from ckptstore.db.sql.transfer import THREAD_TABLES
from ckptstore.transfer import reading
from ckptstore.transfer.reading import fit_together, read_thread, read_together
from tests.support.transfers import fill


def _next(answers: Iterator[bool], *_row: Any) -> bool:
    return next(answers)


@pytest.fixture
def filled(lasting_url: str) -> Any:
    with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        fill(saver, threads=2, steps=6, blobs=False)
        yield saver


@pytest.mark.parametrize(("marks", "rows", "size"), [(2_000, 1_000, 10_000_000), (3, 2, 10_000_000), (2, 1_000, 1)])
def test_pieces_make_the_whole(filled: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch, marks: int, rows: int, size: int) -> None:
    monkeypatch.setattr(reading, "_MARKS_PER_PAGE", marks)
    monkeypatch.setattr(reading, "_ROWS_PER_READ", rows)
    monkeypatch.setattr(reading, "_BYTES_PER_READ", size)

    def both(db: Db) -> tuple[set[Any], list[Any], list[Any]]:
        at_once: set[Any] = set()
        read_together(db, ["t0", "t1"], lambda table, row: at_once.add((table.name, row)))
        pieces: list[Any] = []
        odd: list[Any] = []
        for thread_id in ("t0", "t1"):
            read_thread(db, thread_id, THREAD_TABLES, lambda *_: True, lambda table, row: pieces.append((table.name, row)))
            every_other = cycle([True, False])
            read_thread(
                db, thread_id, THREAD_TABLES, lambda *_, each=every_other: next(each), lambda table, row: odd.append((table.name, row))
            )
        return at_once, pieces, odd

    at_once, pieces, odd = filled.store.runner.read(both).result()
    assert len(at_once) == len(pieces) > 50
    assert set(pieces) == at_once
    assert set(odd) < at_once
    assert abs(2 * len(odd) - len(pieces)) <= 2


def test_large_threads_are_not_read_together(filled: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    def fits() -> bool:
        return filled.store.runner.read(lambda db: fit_together(db, ["t0", "t1"])).result()

    assert fits()
    monkeypatch.setattr(reading, "MAX_ROWS", 10)
    assert not fits()
    monkeypatch.setattr(reading, "MAX_ROWS", 1_000)
    monkeypatch.setattr(reading, "MAX_BYTES", 100)
    assert not fits()
