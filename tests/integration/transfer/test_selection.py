"""What is chosen of a thread whose newest checkpoints are wanted reads as in the thread."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.build import config
from tests.support.rows import Rows
from tests.support.transfers import GRAPHS, contents, pair, run_graphs


@pytest.mark.parametrize("newest", [1, 3])
def test_the_newest_checkpoints_of_graphs(request: pytest.FixtureRequest, tmp_path: Path, newest: int) -> None:
    with pair(request, tmp_path, "asyncpg", "sqlite") as (one, other):
        asyncio.run(run_graphs(one))
        report = one.copy_to(other, newest=newest, verify="objects")
        assert (report.ok, report.threads) == (True, len(GRAPHS))
        left, whole = contents(other), contents(one)
        assert 0 < len(left) < len(whole)
        for key, (checkpoint, metadata, parent, writes) in left.items():
            assert (checkpoint, metadata, writes) == (*whole[key][:2], whole[key][3])
            assert parent in (whole[key][2], None)
        for thread_id in GRAPHS:
            where = config(thread_id)
            channels = ["said", "facts"]
            assert other.get_delta_channel_history(config=where, channels=channels) == one.get_delta_channel_history(
                config=where, channels=channels
            )
        orphans = Rows.of(other).orphans()
        orphans.pop("ckpt_write", None)
        assert orphans == {}
