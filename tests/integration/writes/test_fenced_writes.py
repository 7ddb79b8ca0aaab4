"""Writes under leases, in the transaction that would store them: with others in a batch, and while another one takes the thread over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db.abilities import Abilities
from ckptstore.db.async_runner import AsyncRunner
from ckptstore.db.capabilities import HAS_CITUS
from ckptstore.db.sql import batch_function
from ckptstore.records import NewSegment
from ckptstore.runtime.wakeups import settled
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.commit import commit_batch
from ckptstore.writes.leases import NewRequest, ask
from tests.support.attempts import task_writes
from tests.support.batches import small_checkpoint
from tests.support.databases import url_of
from tests.support.rows import Rows, counted, listed_counts
from tests.support.shards import as_on_shards

LOST = MissingParts(lease=True)

#: A database, and how batches are stored on it.
WAYS = ["sqlite", "asyncpg", "psycopg", "asyncpg partitioned", "asyncpg batch function", "asyncpg statement", "asyncpg shards"]
OF_PLAIN_TABLES = ("asyncpg partitioned", "asyncpg batch function", "asyncpg statement")
WITHOUT = {"batch function": Abilities("public"), "statement": Abilities()}


def request(thread_id: str, fence: str) -> NewRequest:
    return NewRequest(thread_id, fence, "host", 1, "", 30_000_000)


async def hold(saver: SQLAlchemySaver, thread_id: str, fence: str, *, take_over: bool = False) -> None:
    await settled(saver.store.runner.write(lambda db: ask(db, request(thread_id, fence), may_wait=False, take_over=take_over)))


async def commit(saver: SQLAlchemySaver, batch: Sequence[EncodedWrite]) -> Sequence[MissingParts | None]:
    return await settled(saver.store.runner.write(partial(commit_batch, batch=batch, lock_seconds=60)))


async def opened(url: str, way: str) -> SQLAlchemySaver:
    saver = SQLAlchemySaver.from_conn_string(url)
    await saver.setup()
    runner = saver.store.runner
    if isinstance(runner, AsyncRunner) and runner.abilities.shard_map is None:
        assert way.endswith("shards") or runner.abilities == Abilities("public", True)
        runner.abilities = WITHOUT.get(way.partition(" ")[2], runner.abilities)
    return await as_on_shards(saver) if way.endswith("shards") else saver


def way_of(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """The URL of a way's database, and the way."""
    way: str = request.param
    if way in OF_PLAIN_TABLES and request.config.getoption("--citus"):
        pytest.skip("on a cluster, batches are stored by the functions of shards, or in transactions")
    driver, _, kind = way.partition(" ")
    return url_of({"partitioned": way, "shards": f"{driver} texts"}.get(kind, driver), request, tmp_path), way


@pytest.fixture(params=WAYS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    return way_of(request, tmp_path)


@pytest.fixture
async def saver(place: tuple[str, str]) -> AsyncIterator[SQLAlchemySaver]:
    async with await opened(*place) as saver:
        yield saver


async def test_only_what_is_under_a_lost_lease_stays_out_of_a_batch(saver: SQLAlchemySaver) -> None:
    await hold(saver, "held", "f1")
    await hold(saver, "lost", "f3")
    batch = [
        small_checkpoint("free", "c"),
        small_checkpoint("held", "c")._replace(fence="f1"),
        small_checkpoint("lost", "c")._replace(fence="f2"),
        task_writes("held", "task")._replace(fence="f1"),
        task_writes("lost", "task")._replace(fence="f2"),
        task_writes("free", "task"),
        # Another thread's lease is none.
        small_checkpoint("other", "c")._replace(fence="f1"),
    ]
    assert await commit(saver, batch) == [None, None, LOST, None, LOST, None, LOST]
    tables = Rows.of(saver).tables
    assert {row["thread_id"] for row in tables["ckpt_checkpoint"]} == {"free", "held"}
    assert {row["thread_id"] for row in tables["ckpt_thread"]} == {"free", "held"}
    assert {row["thread_id"] for row in tables["ckpt_write"]} == {"free", "held"}
    assert await listed_counts(saver) == await counted(saver)


async def test_a_batch_under_leases_that_are_held_is_stored(saver: SQLAlchemySaver) -> None:
    for number in range(3):
        await hold(saver, f"t{number}", f"f{number}")
    batch = [small_checkpoint(f"t{number}", "c")._replace(fence=f"f{number}") for number in range(3)]
    assert await commit(saver, batch) == [None] * 3
    # Again, and so as a replacement.
    assert await commit(saver, batch) == [None] * 3
    assert len(Rows.of(saver).tables["ckpt_checkpoint"]) == 3
    assert await listed_counts(saver) == await counted(saver)


async def test_a_lost_lease_and_a_missing_segment_are_both_told(saver: SQLAlchemySaver) -> None:
    lost = task_writes("t", "task")._replace(fence="f", known=("gone",))
    assert await commit(saver, [lost]) == [MissingParts(segments=("gone",), lease=True)]
    # A write with a part that may be in blob storage takes another way.
    segment = NewSegment("d", 1, "raw", b"x", None)
    touching = task_writes("t", "task")._replace(fence="f", segments=(segment,), touches_objects=True)
    assert await commit(saver, [touching]) == [LOST]
    assert Rows.of(saver).tables["ckpt_thread"] == []


@pytest.fixture(params=["asyncpg", "psycopg", "asyncpg statement"])
def place_on_server(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    return way_of(request, tmp_path)


@pytest.fixture
async def on_server(place_on_server: tuple[str, str]) -> AsyncIterator[SQLAlchemySaver]:
    """On PostgreSQL, where two transactions may be under way."""
    async with await opened(*place_on_server) as saver:
        yield saver


def plain(saver: SQLAlchemySaver) -> str:
    url = saver.store.runner.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return url.replace("+asyncpg", "").replace("+psycopg", "")


async def until_waiting(server: psycopg.Connection[Any], count: int) -> None:
    """Return when so many sessions wait for locks, on all nodes where there are several."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    if server.execute(f"SELECT {HAS_CITUS}").fetchone() == (True,):
        waiting = f"SELECT sum(result::int) FROM run_command_on_all_nodes($${waiting}$$)"
    while server.execute(waiting).fetchone() != (count,):  # noqa: ASYNC110
        await asyncio.sleep(0)


async def test_who_takes_a_thread_over_waits_for_a_put_that_is_in_flight(on_server: SQLAlchemySaver) -> None:
    saver, done = on_server, list[str]()
    await hold(saver, "t", "f")
    assert await commit(saver, [small_checkpoint("t", "c0")._replace(fence="f")]) == [None]

    async def put() -> None:
        assert await commit(saver, [task_writes("t", "task")._replace(fence="f")]) == [None]
        done.append("put")

    async def take_over() -> None:
        await hold(saver, "t", "g", take_over=True)
        done.append("taken over")

    with psycopg.connect(plain(saver)) as blocking, psycopg.connect(plain(saver), autocommit=True) as looking:
        # The put waits for the row of its thread, with its lease looked up and locked.
        blocking.execute("SELECT FROM ckpt_thread WHERE thread_id = 't' FOR UPDATE")
        putting = asyncio.create_task(put())
        await until_waiting(looking, 1)
        abilities = saver.store.runner.abilities
        if abilities.held_function or abilities.shard_map is not None:
            taking_over = asyncio.create_task(take_over())
            await until_waiting(looking, 2)
        else:
            # Without the function, a lease is looked up after its thread is locked.
            taking_over = asyncio.create_task(asyncio.sleep(0))
        assert done == []
        blocking.rollback()
        await asyncio.gather(putting, taking_over)
    assert done[0] == "put"
    if len(done) == 1:
        await take_over()
    assert await commit(saver, [task_writes("t", "late")._replace(fence="f")]) == [LOST]
    assert [row["task_id"] for row in Rows.of(saver).tables["ckpt_write"]] == ["task"]


async def test_a_put_waits_for_who_takes_the_thread_over_and_is_refused(on_server: SQLAlchemySaver) -> None:
    saver = on_server
    await hold(saver, "t", "f")
    with psycopg.connect(plain(saver)) as other, psycopg.connect(plain(saver), autocommit=True) as looking:
        other.execute("DELETE FROM ckpt_lease WHERE thread_id = 't'")
        putting = asyncio.create_task(commit(saver, [small_checkpoint("t", "c")._replace(fence="f")]))
        await until_waiting(looking, 1)
        other.commit()
        assert await putting == [LOST]
    assert Rows.of(saver).tables["ckpt_checkpoint"] == []


async def test_a_renewal_waits_for_no_put(on_server: SQLAlchemySaver) -> None:
    await hold(on_server, "t", "f")
    with psycopg.connect(plain(on_server)) as putting, psycopg.connect(plain(on_server), autocommit=True) as renewing:
        putting.execute("SELECT FROM ckpt_lease WHERE thread_id = 't' FOR KEY SHARE")
        renewing.execute("SET lock_timeout = '1ms'")
        renewing.execute("UPDATE ckpt_lease SET expires_at = expires_at + 1 WHERE thread_id = 't'")
        renewing.execute("SELECT FROM ckpt_lease WHERE thread_id = 't' FOR NO KEY UPDATE")


async def test_a_function_that_was_dropped_is_done_without(on_server: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    saver = on_server
    if saver.store.runner.abilities.shard_map is not None:
        pytest.skip("there are other functions; see test_shard_functions.py")
    monkeypatch.setattr(batch_function, "HELD_FUNCTION", "gone")
    saver.store.runner.statements.clear()
    await hold(saver, "t", "f")
    assert await commit(saver, [small_checkpoint("t", "c")._replace(fence="f")]) == [None]
    assert saver.store.runner.abilities == Abilities()
    assert await commit(saver, [small_checkpoint("u", "c")._replace(fence="f")]) == [LOST]
    saver.store.runner.statements.clear()
