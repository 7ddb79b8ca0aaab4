"""Reads that may be some seconds old come from a real streaming standby, and from the primary where it can't answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from ckptstore import RetentionPolicy, SQLAlchemySaver
from ckptstore.errors import InvalidConfig
from ckptstore.maintenance.gc_pass import GcPass
from ckptstore.records import ThreadInfo
from ckptstore.runtime.steps import drive, drive_async
from ckptstore.store import replica
from tests.support.background import recorded_events
from tests.support.build import chain, config, put
from tests.support.standbys import StandbyPair

pytestmark = pytest.mark.starts_processes


@pytest.fixture(params=["asyncpg", "psycopg"])
def driver(request: pytest.FixtureRequest) -> str:
    driver: str = request.param
    return driver


def open_saver(pair: StandbyPair, driver: str = "asyncpg", **options: Any) -> SQLAlchemySaver:
    urls = [url.replace("postgresql:", f"postgresql+{driver}:", 1) for url in (pair.primary, pair.standby)]
    return SQLAlchemySaver.from_conn_string(urls[0], **{"read_url": urls[1], **options})


@pytest.fixture
async def saver(pair: StandbyPair, driver: str) -> AsyncIterator[SQLAlchemySaver]:
    """A saver on both, whose thread `t` the standby has."""
    async with open_saver(pair, driver) as saver:
        await chain(saver, "t", 3, user="ann")
        pair.catch_up()
        yield saver


async def names_of(saver: SQLAlchemySaver, **wanted: Any) -> list[str]:
    threads: list[ThreadInfo] = await saver.alist_threads(**wanted)
    return sorted(thread.thread_id for thread in threads)


def counts(saver: SQLAlchemySaver) -> tuple[int, int]:
    """Reads of the replica, and those that the primary answered instead."""
    found = saver.stats().replica
    assert found is not None
    return found.reads, found.fallbacks


async def test_listings_and_searches_show_what_the_standby_has(pair: StandbyPair, saver: SQLAlchemySaver) -> None:
    with pair.paused():
        where = (await chain(saver, "u", 2, user="ann"))[-1]
        assert await names_of(saver) == ["t"]
        assert await names_of(saver, filter={"user": "ann"}) == ["t"]
        assert {each.config["configurable"]["thread_id"] async for each in saver.alist(None)} == {"t"}
        assert {each.config["configurable"]["thread_id"] for each in await saver.alist(None, filter={"user": "ann"})} == {"t"}
        assert await saver.alist(config("u")) == []
        # A graph continues with these.
        assert (await saver.aget_tuple(config("u"))).config == where  # type: ignore[union-attr]
        assert [each.config for each in await saver.alist(config("u"), limit=1)] == [where]
        assert counts(saver)[1] == 0
    pair.catch_up()
    assert await names_of(saver) == ["t", "u"]


async def test_dry_runs_read_the_standby_and_find_what_a_real_run_deletes(pair: StandbyPair, saver: SQLAlchemySaver) -> None:
    newest = RetentionPolicy(keep_last=1)
    with pair.paused():
        await chain(saver, "t", 5)
        before = counts(saver)[0]
        planned = await saver.aprune_by(newest, dry_run=True)
        erased = await saver.aerase({"user": "ann"}, dry_run=True)
        assert counts(saver)[0] > before
    assert (planned.checkpoints, erased.checkpoints) == (2, 3)
    assert (await saver.aprune_by(newest)).checkpoints == 7


async def test_a_dry_run_of_the_collector_reads_the_standby(pair: StandbyPair, tmp_path: Any) -> None:
    async with open_saver(pair, blob_url=str(tmp_path)) as saver:
        await saver.blobs.put(b"x" * 100_000)
        pair.catch_up()
        with pair.paused():
            await saver.blobs.put(b"y" * 100_000)
            dry = GcPass(saver._now() + 10**12, timedelta(0), dry_run=True)
            assert (await drive_async(saver.store.collect(dry))).marked == 1
        pair.catch_up()
        assert (await drive_async(saver.store.collect(dry))).marked == 2


async def test_single_checkpoints_are_read_from_the_standby_if_told(pair: StandbyPair, driver: str) -> None:
    async with open_saver(pair, driver, read_newest=True) as saver:
        old = (await chain(saver, "t", 1))[-1]
        pair.catch_up()
        with pair.paused():
            new = await put(saver, old, {"n": 7})
            assert (await saver.aget_tuple(config("t"))).config == old  # type: ignore[union-attr]
            assert saver.get_tuple(config("t")).config == old  # type: ignore[union-attr]
            # The standby does not have it, but somebody knows its id.
            assert (await saver.aget_tuple(new)).config == new  # type: ignore[union-attr]
            assert await saver.aget_tuple(config("nobody")) is None
        assert counts(saver)[0] >= 4


async def test_the_lag_is_measured_and_a_standby_too_far_behind_is_not_read(
    pair: StandbyPair, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "_INTERVAL_SECONDS", 0.0)
    async with open_saver(pair, driver, max_lag_seconds=1e-6) as saver:
        await chain(saver, "t", 1)
        pair.catch_up()
        assert await names_of(saver) == ["t"]
        assert lag_of(saver) == 0.0
        # What is measured beside the last listing may end once the standby goes on.
        with recorded_events("replica_caught_up") as caught_up:
            with recorded_events("replica_behind") as behind, pair.paused():
                await chain(saver, "u", 1)
                await measured(saver)
                assert await names_of(saver) == ["t", "u"]
                assert lag_of(saver) > 0.0
                assert counts(saver)[1] > 0
            assert behind.records[0]["lag_seconds"] > 0.0
            pair.catch_up()
            await measured(saver)
        assert len(caught_up.records) == 1
        before = counts(saver)
        assert await names_of(saver) == ["t", "u"]
        assert counts(saver) == (before[0] + 1, before[1])


def lag_of(saver: SQLAlchemySaver) -> float:
    """The lag that was measured last, in seconds."""
    found = saver.stats().replica
    assert found is not None
    assert found.lag_seconds is not None
    return found.lag_seconds


async def measured(saver: SQLAlchemySaver) -> None:
    """Measure the lag now."""
    await saver.alist_threads()
    found = saver.store.replica
    assert found is not None
    assert found._measuring is not None
    found._measuring.result()
    drive(found._measure())


async def test_while_the_standby_is_away_the_primary_is_read(pair: StandbyPair, driver: str) -> None:
    async with open_saver(pair, driver) as saver:
        await chain(saver, "t", 2)
        pair.catch_up()
        assert await names_of(saver) == ["t"]
        with recorded_events("replica_not_used") as recorded, pair.without_standby():
            assert await names_of(saver) == ["t"]
            assert len(await saver.alist(None)) == 2
            assert counts(saver)[1] >= 2
        assert [record["error"] for record in recorded.records] == ["DatabaseUnavailable"]
        before = counts(saver)[0]
        # As if the time had passed.
        saver.store.replica._avoided_until = 0.0  # type: ignore[union-attr]
        assert await names_of(saver) == ["t"]
        assert counts(saver)[0] == before + 1


async def test_a_standby_without_the_schema_is_not_read(pair: StandbyPair) -> None:
    with psycopg.connect(pair.primary, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA late")
    try:
        with pair.paused():
            async with open_saver(pair, schema="late") as saver:
                await saver.setup()
                await chain(saver, "t", 1)
                with recorded_events("replica_not_used") as recorded:
                    assert await names_of(saver) == ["t"]
                assert [record["error"] for record in recorded.records] == ["SchemaOutOfDate"]
    finally:
        with psycopg.connect(pair.primary, autocommit=True) as connection:
            connection.execute("DROP SCHEMA late CASCADE")


async def test_another_database_is_refused_as_a_replica(pair: StandbyPair, postgres_url: str) -> None:
    async with open_saver(pair, read_url=postgres_url) as saver:
        with pytest.raises(InvalidConfig, match="no standby of"):
            await saver.alist_threads()
