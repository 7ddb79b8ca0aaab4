"""The write queue on real databases: faults, cancelled callers, bounds, closing."""

from __future__ import annotations

import asyncio
import threading
from unittest import mock

import psycopg
import pytest

from ckptstore import DatabaseSettings, SQLAlchemySaver
from ckptstore.db.connection import Db
from ckptstore.errors import DatabaseUnavailable, SerializationFailed, StatementRefused
from ckptstore.records import CheckpointKey, NewWrite, NewWrites, Value
from ckptstore.runtime.wakeups import settled
from tests.support.attempts import EncodedAttempt, GivenEncoder, encoded, task_writes
from tests.support.build import chain, checkpoint, config, metadata, put
from tests.support.faults import INSERTS_BATCH, fault, queued, transient_fault


async def test_a_bad_unit_among_good_ones_fails_alone_on_a_real_database(saver: SQLAlchemySaver) -> None:
    where = await put(saver, config("t"))
    thread_id, checkpoint_id = "t", where["configurable"]["checkpoint_id"]
    queue = saver.store._queue
    under_way = threading.Event()
    blocked = queue.run(lambda _db: under_way.wait(20))
    key = CheckpointKey(thread_id, "", checkpoint_id)
    bad = NewWrites(key, "task", "", 0, [NewWrite(None, "x", Value("null", b""))], False)  # type: ignore[arg-type]
    attempts = [EncodedAttempt(thread_id, encoded(bad) if n == 3 else task_writes(thread_id, f"w{n}")) for n in range(7)]
    with mock.patch.object(queue, "_encoder", GivenEncoder()):
        futures = [queue.submit(attempt) for attempt in attempts]
        under_way.set()
        await settled(blocked)
        results = await asyncio.gather(*[settled(future) for future in futures], return_exceptions=True)
    assert isinstance(results[3], StatementRefused)
    assert [result for n, result in enumerate(results) if n != 3] == [None] * 6


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_connection_is_tried_again_and_nothing_is_stored_twice(saver: SQLAlchemySaver, when: str) -> None:
    await chain(saver, "t", 3)
    with fault(saver, when, INSERTS_BATCH, transient_fault(saver)) as hits:
        await chain(saver, "u", 3)
    assert len(hits) == 1
    assert [c.checkpoint["channel_values"]["n"] for c in await saver.alist(config("u"))] == [2, 1, 0]
    assert len(await saver.alist(None, filter={"step": 2})) == 2


async def test_a_commit_of_unknown_outcome_is_repeated_without_harm(saver: SQLAlchemySaver) -> None:
    where = await put(saver, config("t"), {"a": 1})
    with fault(saver, "after", INSERTS_BATCH, transient_fault(saver)) as hits:
        await saver.aput_writes(where, [("a", 1), ("b", 2)], "task")
    assert len(hits) == 1
    found = await saver.aget_tuple(where)
    assert found is not None
    assert found.pending_writes == [("task", "a", 1), ("task", "b", 2)]


async def test_a_fault_that_stays_is_reported_within_bounds_and_the_next_write_works(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url, settings=DatabaseSettings(retry_seconds=0.05)) as saver:
        await put(saver, config("t"))
        with fault(saver, "before", INSERTS_BATCH, transient_fault(saver), times=10_000), pytest.raises(DatabaseUnavailable):
            await put(saver, config("t"))
        await put(saver, config("t"))
        assert len(await saver.alist(config("t"))) == 2


async def test_a_read_is_tried_again_too(saver: SQLAlchemySaver) -> None:
    await put(saver, config("t"), {"a": 1})
    with fault(saver, "before", "SELECT", transient_fault(saver)) as hits:
        found = await saver.aget_tuple(config("t"))
    assert len(hits) == 1
    assert found is not None


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_connections_that_the_server_ends_are_replaced(postgres_url: str, driver: str) -> None:
    url = postgres_url.replace("postgresql:", f"postgresql+{driver}:")
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await put(saver, config("ended"))
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%ckpt_%'")
        await put(saver, config("ended"))
        assert await saver.aget_tuple(config("ended")) is not None
        await saver.adelete_thread("ended")


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_once_a_connection_was_lost_no_other_is_used_unasked(postgres_url: str, driver: str) -> None:
    url = postgres_url.replace("postgresql:", f"postgresql+{driver}:")
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await put(saver, config("lost"))
        database = saver.store.runner
        barrier = asyncio.Barrier(4)

        async def answer() -> None:
            async with database._engine.connect() as connection:  # type: ignore[attr-defined]
                await barrier.wait()
                await connection.run_sync(lambda connection: Db(connection, database.statements).execute("SELECT 1"))

        async def four_at_once() -> None:
            await asyncio.gather(*[answer() for _ in range(4)])

        await settled(database._loop.run(four_at_once()))  # type: ignore[attr-defined]
        with psycopg.connect(postgres_url, autocommit=True) as other:
            ended = "state = 'idle' AND datname = current_database() AND pid <> pg_backend_pid()"
            assert len(other.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ended}").fetchall()) >= 4
        assert await saver.aget_tuple(config("lost")) is not None
        await settled(database._loop.run(four_at_once()))  # type: ignore[attr-defined]
        await saver.adelete_thread("lost")


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_a_change_of_schema_beneath_prepared_statements_is_survived(postgres_url: str, driver: str) -> None:
    url = postgres_url.replace("postgresql:", f"postgresql+{driver}:")
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await put(saver, config("altered"), {"a": 1})
        for type_ in ("varchar(99)", "text"):
            assert await saver.aget_tuple(config("altered")) is not None
            with psycopg.connect(postgres_url, autocommit=True) as other:
                other.execute(f"ALTER TABLE ckpt_checkpoint ALTER COLUMN type TYPE {type_}")
        found = await saver.aget_tuple(config("altered"))
        assert found is not None
        assert found.checkpoint["channel_values"] == {"a": 1}
        await saver.adelete_thread("altered")


async def test_a_cancelled_caller_breaks_no_batch(saver: SQLAlchemySaver) -> None:
    where = await put(saver, config("t"))
    tasks = [asyncio.ensure_future(saver.aput_writes(where, [("x", n)], f"task-{n}")) for n in range(20)]
    await queued(saver, tasks)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[1::2] == [None] * 10
    found = await saver.aget_tuple(where)
    assert found is not None
    stored = {write[2] for write in found.pending_writes or []}
    assert stored >= set(range(1, 20, 2))


async def test_callers_wait_when_the_queue_is_full(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url, settings=DatabaseSettings(max_pending=3)) as saver:
        where = await put(saver, config("t"))
        await asyncio.gather(*[saver.aput_writes(where, [("x", n)], f"task-{n}") for n in range(100)])
        found = await saver.aget_tuple(where)
        assert found is not None
        assert len(found.pending_writes or []) == 100


async def test_a_value_that_fails_while_it_waits_for_room_fails_alone(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url, settings=DatabaseSettings(max_pending=2)) as saver:
        where = await put(saver, config("t"))
        values = [object() if n == 7 else n for n in range(12)]
        tasks = [saver.aput_writes(where, [("x", value)], f"task-{n}") for n, value in enumerate(values)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[7], SerializationFailed)
        assert [result for n, result in enumerate(results) if n != 7] == [None] * 11


async def test_a_deletion_and_later_puts_keep_their_order(saver: SQLAlchemySaver) -> None:
    await chain(saver, "t", 3)
    made = checkpoint({"a": 1})
    await asyncio.gather(saver.adelete_thread("t"), saver.aput(config("t"), made, metadata(), made["channel_versions"]))
    assert [c.checkpoint["id"] for c in await saver.alist(config("t"))] == [made["id"]]
