"""Large threads, and those that many pages list."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckptstore.transfer import own_source, reading
from tests.support.transfers import contents, fill, pair, rows_of


@pytest.mark.parametrize(("source", "target"), [("sqlite", "asyncpg"), ("psycopg", "sqlite")])
def test_threads_that_do_not_fit_are_read_in_pieces(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, target: str
) -> None:
    monkeypatch.setattr(reading, "MAX_ROWS", 5)
    monkeypatch.setattr(reading, "_MARKS_PER_PAGE", 3)
    monkeypatch.setattr(own_source, "_THREADS_PER_PAGE", 2)
    with pair(request, tmp_path, source, target) as (one, other):
        fill(one, threads=5)
        report = one.copy_to(other, verify="objects")
        assert (report.threads, report.ok) == (5, True)
        assert rows_of(other) == rows_of(one)
        assert one.copy_to(other, filter={"user_id": {"$in": ["u1", "u3", "u4"]}}).unchanged_threads == 3


def test_newest_of_a_large_thread_has_the_segments_of_its_lists(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.support.build import checkpoint, config, metadata

    with pair(request, tmp_path, "sqlite", "asyncpg") as (one, other):
        for step in range(3):
            version = f"{step + 1:08}.x"
            made = checkpoint({"messages": [f"{number} " * 200 for number in range(100 * step, 100 * step + 100)]}, {"messages": version})
            one.put(config("t"), made, metadata(step), {"messages": version})
        assert any(row["encoding"] == "list" for row in _segments(one))
        one.copy_to(other, newest=1)
        (key,) = contents(other)
        assert contents(other)[key][0] == contents(one)[key][0]
        assert len(_segments(other)) < len(_segments(one))


def _segments(saver: object) -> list[dict[str, object]]:
    from ckptstore import SQLAlchemySaver
    from tests.support.rows import Rows

    assert isinstance(saver, SQLAlchemySaver)
    return [dict(row) for row in Rows.of(saver).tables["ckpt_segment"]]
