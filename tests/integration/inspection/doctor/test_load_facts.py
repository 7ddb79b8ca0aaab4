"""The recorded load in a few numbers."""

from __future__ import annotations

import pytest

from ckptstore import SQLAlchemySaver, TagKeys
from ckptstore.inspection.doctor.load_facts import load_facts, unsearched_keys
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.tags.keys import EVERYTHING
from tests.support.build import config, put
from tests.support.loads import add_loads, load_row

MINUTE = 60_000_000
DAY = 24 * 60 * MINUTE
NOW = 20_000 * DAY


async def test_what_most_minutes_do_not_exceed(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await saver.setup()
        assert saver.store.runner.read(lambda db: load_facts(db, NOW)).result() is None
        quiet = [load_row(NOW - DAY + n * MINUTE) for n in range(95)]
        busy = {"writes": 6_000, "commit_p99_microseconds": 300_000, "lock_wait_microseconds": 30_000_000, "queue_depth": 700}
        # Two processes in the same minutes.
        loud = [load_row(NOW - n * MINUTE, process=f"host:{p}", **busy, errors=1, connections_in_use=5) for n in (1, 2, 3) for p in (1, 2)]
        add_loads(saver, *quiet, *loud, load_row(NOW - 15 * DAY, writes=10**9))
        found = saver.store.runner.read(lambda db: load_facts(db, NOW)).result()
    assert found is not None
    assert (found.minutes, found.processes, found.days) == (101, 2, 1.0)
    assert (found.peak_writes_per_second, found.commit_p99_seconds, found.queue_depth) == (200.0, 0.3, 700)
    assert (found.lock_wait_share, found.errors, found.writes) == (0.5, 6, 36_000 + 95 * 60)
    assert found.pool_full_share == pytest.approx(6 / 101)


async def test_load_without_commits_and_lock(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await saver.setup()
        add_loads(saver, load_row(NOW, writes=0, commits=0, commit_p99_microseconds=None, lock_wait_microseconds=None))
        found = saver.store.runner.read(lambda db: load_facts(db, NOW)).result()
    assert found is not None
    assert (found.commit_p99_seconds, found.lock_wait_share, found.peak_writes_per_second) == (None, None, 0)


async def test_keys_that_nobody_searched(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        for step in range(3):
            await put(saver, config("t"), {"n": step}, step, user="ann", trace=f"t{step}", nested={"a": {"b": 1, "c": 2}}, listed=[1, 2])
        add_loads(saver, load_row(NOW, searched={"nested/a/b": 2}), load_row(NOW - DAY, searched={"user": 1}))
        add_loads(saver, load_row(NOW - 15 * DAY, searched={"trace": 1}))

        def keys(tag_keys: TagKeys) -> list[str]:
            return [each.key for each in saver.store.runner.read(lambda db: unsearched_keys(db, NOW, tag_keys, LANGGRAPH)).result()]

        assert sorted(keys(EVERYTHING)) == ["listed", "trace"]
        assert keys(TagKeys(exclude=("trace",))) == ["listed"]
        found = saver.store.runner.read(lambda db: unsearched_keys(db, NOW, EVERYTHING, LANGGRAPH)).result()
        assert found[0].key == "listed"
        assert 0 < found[1].share < found[0].share < 0.5
