from __future__ import annotations

from pathlib import Path

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidConfig
from ckptstore.tags.filters import Filter
from ckptstore.transfer.mirroring import require_whole_choice
from ckptstore.transfer.parcel import Choice
from tests.support.transfers import fill, pair, sqlite_file, threads_of


@pytest.mark.parametrize("choice", [Choice(newest=1), Choice(since=1), Choice(wanted=Filter())])
def test_a_part_can_not_be_mirrored(choice: Choice) -> None:
    with pytest.raises(InvalidConfig):
        require_whole_choice(choice)
    require_whole_choice(Choice(thread_ids=["t"]))


def test_only_what_was_brought_is_deleted(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckptstore.maintenance.reindex._THREADS_PER_PAGE", 2)
    with pair(request, tmp_path, "asyncpg", "sqlite") as (one, other):
        fill(one, threads=5, steps=1)
        one.copy_to(other)
        other.copy_thread("t4", "its own")
        for gone in ("t0", "t1", "t3"):
            one.delete_thread(gone)
        assert one.copy_to(other, mirror=True, threads=["t0", "t2"]).deleted_threads == 1
        assert threads_of(other) == ["its own", "t1", "t2", "t3", "t4"]
        assert one.copy_to(other, mirror=True).deleted_threads == 2
        assert threads_of(other) == ["its own", "t2", "t4"]
        # It can come again.
        fill(one, threads=1, steps=1)
        assert one.copy_to(other, mirror=True).threads == 1


def test_what_came_from_another_source_stays(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with (
        pair(request, tmp_path, "sqlite", "asyncpg") as (one, other),
        SQLAlchemySaver.from_conn_string(sqlite_file(request, tmp_path / "third.sqlite")) as third,
    ):
        fill(one, threads=2, steps=1)
        fill(third, threads=3, steps=1)
        assert one.copy_to(other).threads == 2
        report = third.copy_to(other, mirror=True)
        # The same ids, but other threads.
        assert (report.threads, report.skipped_threads, report.deleted_threads) == (1, ["t0", "t1"], 0)
        one.delete_thread("t0")
        assert third.copy_to(other, mirror=True).deleted_threads == 0
        assert one.copy_to(other, mirror=True).deleted_threads == 1
        assert threads_of(other) == ["t1", "t2"]
