"""The one queue: order, batches, bad units, passing faults, cancellation, backpressure, the end."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import psycopg
import pytest

from ckptstore import DatabaseSettings, SQLAlchemySaver
from ckptstore.db.handle import Db
from ckptstore.db.open import open_database
from ckptstore.db.runner import Runner, Work
from ckptstore.db.url import parse_database_url
from ckptstore.errors import BlobUnavailable, DatabaseUnavailable, SerializationFailed, StatementRefused, StoreClosed
from ckptstore.records import CheckpointKey, NewCheckpoint, NewWrite, NewWrites, Value
from ckptstore.values.encode import EncodedWrite, encode_write
from ckptstore.writes.entry import Making, Unit
from ckptstore.writes.queue import WriteQueue
from tests.support.build import chain, checkpoint, config, metadata, put
from tests.support.faults import INSERTS_BATCH, fault, passing_fault, queued


class Shelf:
    """A database that a test runs by hand: it notes each batch and ends it when told to."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.under_way: list[tuple[Future[Any], Work[Any]]] = []
        self.poison: set[str] = set()
        #: Units that are not stored, and why.
        self.refused: dict[str, str] = {}
        self.may_wait = False

    def write(self, work: Work[Any]) -> Future[Any]:
        future: Future[Any] = Future()
        self.under_way.append((future, work))
        return future

    def commit(self, _db: Db, units: Sequence[Any]) -> list[str | None]:
        names = [each.unit.task_id if isinstance(each.unit, NewWrites) else each.key.checkpoint_id for each in units]
        if self.poison & set(names):
            raise StatementRefused("bad unit")
        self.batches.append(names)
        return [self.refused.get(name) for name in names]

    def finish_one(self) -> None:
        future, work = self.under_way.pop(0)
        try:
            result = work(None)  # type: ignore[arg-type]
        except Exception as exc:
            future.set_exception(exc)
        else:
            future.set_result(result)

    def finish_all(self) -> None:
        while self.under_way:
            self.finish_one()


def packed(unit: Any) -> EncodedWrite:
    """A unit of a thread that has no segments yet."""
    return encode_write(unit, lambda _digests: set())


def writes(thread_id: str, name: str, data: bytes = b"") -> EncodedWrite:
    return packed(NewWrites(CheckpointKey(thread_id, "", "c"), name, "", 0, [NewWrite(0, "x", Value("bytes", data))], False))


def new_checkpoint(thread_id: str, name: str) -> EncodedWrite:
    return packed(NewCheckpoint(CheckpointKey(thread_id, "", name), None, 0, 4, Value("null", b""), "{}", "{}", [], [], frozenset()))


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def writer_on(shelf: Shelf, max_pending: int = 100) -> WriteQueue:
    database: Runner = shelf  # type: ignore[assignment]
    return WriteQueue(database, shelf.commit, max_pending)


def test_what_waits_while_a_batch_is_under_way_goes_in_together(shelf: Shelf) -> None:
    writer = writer_on(shelf)
    futures = [writer.reserve(f"t{n}").submit(writes(f"t{n}", str(n))) for n in range(5)]
    shelf.finish_all()
    assert shelf.batches == [["0"], ["1", "2", "3", "4"]]
    assert [future.result(0) for future in futures] == [None] * 5


def waiting_writer_on(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, seconds: float) -> WriteQueue:
    """A writer whose batches wait so long for company."""
    monkeypatch.setattr("ckptstore.writes.linger._PATIENCE", 1e9)
    monkeypatch.setattr("ckptstore.writes.linger._LONGEST_WAIT", seconds)
    shelf.may_wait = True
    return writer_on(shelf)


def test_a_batch_waits_for_those_that_the_last_one_told(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = waiting_writer_on(shelf, monkeypatch, 30)
    for name in "abc":
        writer.reserve(name).submit(writes(name, name))
    shelf.finish_one()
    assert shelf.batches == [["a", "b", "c"]]
    writer.reserve("a").submit(writes("a", "a again"))
    running = threading.Thread(target=shelf.finish_one)
    running.start()
    writer.reserve("b").submit(writes("b", "b again"))
    assert running.is_alive()
    last = writer.reserve("c").submit(writes("c", "c again"))
    running.join(20)
    assert last.done()
    assert shelf.batches[1:] == [["a again", "b again", "c again"]]


def test_a_batch_goes_without_those_that_do_not_come_back(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = waiting_writer_on(shelf, monkeypatch, 0.001)
    for name in "ab":
        writer.reserve(name).submit(writes(name, name))
    shelf.finish_one()
    writer.reserve("a").submit(writes("a", "a again"))
    shelf.finish_one()
    assert shelf.batches[1:] == [["a again"]]


def test_many_callers_take_turns_in_two_groups(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = waiting_writer_on(shelf, monkeypatch, 30)
    names = [f"t{number}" for number in range(8)]
    for turn in range(2):
        for name in names:
            writer.reserve(name).submit(writes(name, f"{name} {turn}"))
        shelf.finish_all()
    assert [len(batch) for batch in shelf.batches] == [8, 4, 4]
    # The first group is back before the second one is told.
    for name in names[:4]:
        writer.reserve(name).submit(writes(name, f"{name} 2"))
    shelf.finish_one()
    assert [len(batch) for batch in shelf.batches[3:]] == [4]


def test_nobody_joins_a_batch_that_failed_before_it_ran(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = waiting_writer_on(shelf, monkeypatch, 30)
    failing = writer.reserve("a").submit(writes("a", "failing"))
    shelf.under_way.pop(0)[0].set_exception(DatabaseUnavailable("the database is away"))
    assert isinstance(failing.exception(0), DatabaseUnavailable)
    after = writer.reserve("b").submit(writes("b", "after"))
    shelf.finish_all()
    assert after.result(0) is None
    assert shelf.batches == [["after"]]


def test_a_lone_write_waits_for_nobody(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = waiting_writer_on(shelf, monkeypatch, 1e6)
    for name in ("first", "second", "third"):
        writer.reserve("t").submit(writes("t", name))
        shelf.finish_one()
    assert shelf.batches == [["first"], ["second"], ["third"]]


def test_who_comes_late_into_a_batch_keeps_the_order_of_its_thread(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = waiting_writer_on(shelf, monkeypatch, 0)
    writer.reserve("t").submit(new_checkpoint("t", "c1"))
    writer.reserve("t").submit(writes("t", "after c1"))
    writer.reserve("u").submit(writes("u", "elsewhere"))
    done = writer.run(lambda _db: None, "v")
    shelf.finish_one()
    assert shelf.batches == [["c1", "elsewhere"]]
    shelf.finish_all()
    assert done.done()
    assert shelf.batches == [["c1", "elsewhere"], ["after c1"]]


def test_units_of_a_thread_commit_in_the_order_of_their_reservations(shelf: Shelf) -> None:
    writer = writer_on(shelf)
    slow, fast, other = writer.reserve("t"), writer.reserve("t"), writer.reserve("u")
    fast.submit(writes("t", "second"))
    other.submit(writes("u", "other"))
    shelf.finish_all()
    assert shelf.batches == [["other"]]
    slow.submit(writes("t", "first"))
    shelf.finish_all()
    assert shelf.batches == [["other"], ["first", "second"]]


def test_a_batch_ends_before_it_grows_too_large(shelf: Shelf) -> None:
    writer = writer_on(shelf)
    writer.reserve("x").submit(writes("x", "first"))
    for n in range(3):
        # Random, or compression would leave nothing of it.
        writer.reserve(f"t{n}").submit(writes(f"t{n}", str(n), os.urandom(12_000_000)))
    writer.reserve("y").submit(writes("y", "small"))
    shelf.finish_all()
    assert shelf.batches == [["first"], ["0", "small"], ["1"], ["2"]]


def test_nobody_overtakes_those_that_wait_for_room(shelf: Shelf) -> None:
    writer = writer_on(shelf, max_pending=1)
    for name in ("under way", "queued", "waiting"):
        writer.write("t", lambda _, name=name: Making(0, writes("t", name)))  # type: ignore[misc]
    shelf.finish_one()
    writer.write("t", lambda _: Making(0, writes("t", "last")))
    shelf.finish_all()
    assert [name for batch in shelf.batches for name in batch] == ["under way", "queued", "waiting", "last"]


def test_a_promised_payload_holds_back_only_its_own_thread(shelf: Shelf) -> None:
    writer = writer_on(shelf)
    promise: Future[Any] = Future()
    slow = writer.write("t", lambda _: Making(5_000_000, promise))
    writer.write("t", lambda _: Making(0, writes("t", "after")))
    writer.write("u", lambda _: Making(0, writes("u", "other")))
    shelf.finish_all()
    assert shelf.batches == [["other"]]
    promise.set_result(writes("t", "uploaded"))
    shelf.finish_all()
    assert shelf.batches == [["other"], ["uploaded", "after"]]
    assert slow.result(0) is None


def test_a_broken_promise_fails_its_unit_and_frees_the_thread(shelf: Shelf) -> None:
    writer = writer_on(shelf)
    promise: Future[Any] = Future()
    slow = writer.write("t", lambda _: Making(5_000_000, promise))
    after = writer.write("t", lambda _: Making(0, writes("t", "after")))
    promise.set_exception(BlobUnavailable("the backend is away"))
    shelf.finish_all()
    assert isinstance(slow.exception(0), BlobUnavailable)
    assert after.result(0) is None


def test_closing_waits_for_what_was_promised(shelf: Shelf) -> None:
    writer = writer_on(shelf)
    promise: Future[Any] = Future()
    slow = writer.write("t", lambda _: Making(5_000_000, promise))
    closing = threading.Thread(target=writer.close)
    closing.start()
    promise.set_result(writes("t", "uploaded"))
    while closing.is_alive():
        shelf.finish_all()
    closing.join()
    assert slow.result(0) is None


def test_a_unit_that_was_not_stored_is_made_again_in_its_place(shelf: Shelf) -> None:
    writer = writer_on(shelf)
    reasons: list[Any] = []

    def make(why_again: Any) -> Making:
        reasons.append(why_again)
        return Making(0, writes("t", "first" if why_again is None else "first again"))

    shelf.refused = {"first": "it builds on what has gone"}
    writer.reserve("x").submit(writes("x", "x"))
    first = writer.write("t", make)
    shelf.finish_one()
    after = writer.write("t", lambda _: Making(0, writes("t", "after")))
    shelf.finish_all()
    assert reasons == [None, "it builds on what has gone"]
    assert shelf.batches == [["x"], ["first"], ["first again", "after"]]
    assert first.result(0) is None
    assert after.result(0) is None


def test_closing_ends_when_the_last_promise_is_broken(shelf: Shelf) -> None:
    writer = writer_on(shelf)
    promise: Future[Any] = Future()
    slow = writer.write("t", lambda _: Making(5_000_000, promise))
    closing = threading.Thread(target=writer.close)
    closing.start()
    promise.set_exception(BlobUnavailable("the backend is away"))
    closing.join(10)
    assert not closing.is_alive()
    assert isinstance(slow.exception(0), BlobUnavailable)


def test_the_queue_is_bounded_by_bytes_too(shelf: Shelf) -> None:
    database: Runner = shelf  # type: ignore[assignment]
    writer = WriteQueue(database, shelf.commit, max_pending=100, max_held=10_000_000)
    made: list[str] = []

    def make(name: str, _why_again: None) -> Making:
        made.append(name)
        return Making(5_000_000, writes("t", name))

    futures = [writer.write("t", partial(make, str(n))) for n in range(5)]
    assert made == ["0", "1"]
    shelf.finish_all()
    assert made == ["0", "1", "2", "3", "4"]
    assert all(future.result(0) is None for future in futures)


def test_a_second_checkpoint_of_a_thread_waits_for_the_first(shelf: Shelf) -> None:
    writer = writer_on(shelf)
    writer.reserve("x").submit(writes("x", "0"))
    for name in ("a", "b"):
        writer.reserve("t").submit(new_checkpoint("t", name))
    writer.reserve("u").submit(new_checkpoint("u", "c"))
    shelf.finish_all()
    assert shelf.batches == [["0"], ["a", "c"], ["b"]]


def test_a_bad_unit_fails_alone(shelf: Shelf) -> None:
    writer = writer_on(shelf)
    shelf.poison = {"2"}
    futures = [writer.reserve("t").submit(writes("t", str(n))) for n in range(5)]
    shelf.finish_all()
    assert shelf.batches == [["0"], ["1"], ["3"], ["4"]]
    with pytest.raises(StatementRefused):
        futures[2].result(0)
    assert [futures[n].result(0) for n in (0, 1, 3, 4)] == [None] * 4


def test_work_of_its_own_keeps_its_place(shelf: Shelf) -> None:
    writer = writer_on(shelf)
    writer.reserve("t").submit(writes("t", "before"))
    done = writer.run(lambda _db: shelf.batches.append(["work"]), "t")
    writer.reserve("t").submit(writes("t", "after"))
    writer.reserve("u").submit(writes("u", "elsewhere"))
    shelf.finish_all()
    assert done.done()
    order = [name for batch in shelf.batches for name in batch]
    assert order.index("before") < order.index("work") < order.index("after")


def test_an_abandoned_unit_holds_nobody_back(shelf: Shelf) -> None:
    writer = writer_on(shelf)
    gone = writer.reserve("t")
    writer.reserve("t").submit(writes("t", "next"))
    shelf.finish_all()
    assert shelf.batches == []
    gone.abandon()
    shelf.finish_all()
    assert shelf.batches == [["next"]]


def test_past_the_bound_callers_wait_in_order(shelf: Shelf) -> None:
    writer = writer_on(shelf, max_pending=2)
    units = [writer.reserve(f"t{n}") for n in range(5)]
    assert [unit.waited for unit in units] == [False, False, True, True, True]
    units[2].abandon()
    for name, unit in enumerate(units[:2]):
        unit.submit(writes(f"t{name}", str(name)))
    shelf.finish_all()
    assert writer._queue == units[3:]


def test_closing_waits_for_what_was_accepted_and_refuses_the_rest(shelf: Shelf) -> None:
    writer = writer_on(shelf)
    future = writer.reserve("t").submit(writes("t", "last"))
    closing = threading.Thread(target=writer.close)
    closing.start()
    while True:
        try:
            late = writer.reserve("t")
        except StoreClosed:
            break
        late.abandon()
    assert not future.done()
    shelf.finish_all()
    closing.join()
    assert future.result(0) is None


def test_a_unit_that_meets_a_closed_database_fails_aloud() -> None:
    database = open_database(parse_database_url(":memory:"), DatabaseSettings())
    database.close()
    future = WriteQueue(database, Shelf().commit, 10).reserve("t").submit(writes("t", "x"))
    with pytest.raises(StoreClosed):
        future.result(0)


def test_closing_refuses_what_was_only_reserved(shelf: Shelf) -> None:
    writer = writer_on(shelf, max_pending=2)
    reserved, submitted, waiting = writer.reserve("t"), writer.reserve("u"), writer.reserve("v")
    submitted.submit(writes("u", "in"))
    shelf.finish_all()
    reserved_again = writer.reserve("t")
    writer.close()
    for unit in (reserved, reserved_again):
        with pytest.raises(StoreClosed):
            unit.submit(writes("t", "late")).result(0)
    assert waiting.waited
    assert shelf.batches == [["in"]]


# --- on real databases ------------------------------------------------------------------------------------------------


async def test_a_bad_unit_among_good_ones_fails_alone_on_a_real_database(saver: SQLAlchemySaver) -> None:
    where = await put(saver, config("t"))
    bad = NewWrites(
        CheckpointKey("t", "", where["configurable"]["checkpoint_id"]), None, "", 0, [NewWrite(0, "x", Value("null", b""))], False
    )  # type: ignore[arg-type]
    hold = saver.store._writer.reserve("hold")
    units: list[Unit] = [saver.store._writer.reserve("t") for _ in range(7)]
    futures = [unit.submit(packed(bad) if n == 3 else writes("t", f"w{n}")) for n, unit in enumerate(units)]
    hold.abandon()
    results = await asyncio.gather(*[asyncio.wrap_future(future) for future in futures], return_exceptions=True)
    assert isinstance(results[3], StatementRefused)
    assert [result for n, result in enumerate(results) if n != 3] == [None] * 6


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_connection_is_tried_again_and_nothing_is_stored_twice(saver: SQLAlchemySaver, when: str) -> None:
    await chain(saver, "t", 3)
    with fault(saver, when, INSERTS_BATCH, passing_fault(saver)) as hits:
        await chain(saver, "u", 3)
    assert len(hits) == 1
    assert [c.checkpoint["channel_values"]["n"] for c in await saver.alist(config("u"))] == [2, 1, 0]
    assert len(await saver.alist(None, filter={"step": 2})) == 2


async def test_a_commit_of_unknown_outcome_is_repeated_without_harm(saver: SQLAlchemySaver) -> None:
    where = await put(saver, config("t"), {"a": 1})
    with fault(saver, "after", INSERTS_BATCH, passing_fault(saver)) as hits:
        await saver.aput_writes(where, [("a", 1), ("b", 2)], "task")
    assert len(hits) == 1
    found = await saver.aget_tuple(where)
    assert found is not None
    assert found.pending_writes == [("task", "a", 1), ("task", "b", 2)]


async def test_a_fault_that_stays_is_said_within_bounds_and_the_next_write_works(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url, settings=DatabaseSettings(retry_seconds=0.05)) as saver:
        await put(saver, config("t"))
        with fault(saver, "before", INSERTS_BATCH, passing_fault(saver), times=10_000), pytest.raises(DatabaseUnavailable):
            await put(saver, config("t"))
        await put(saver, config("t"))
        assert len(await saver.alist(config("t"))) == 2


async def test_a_read_is_tried_again_too(saver: SQLAlchemySaver) -> None:
    await put(saver, config("t"), {"a": 1})
    with fault(saver, "before", "SELECT", passing_fault(saver)) as hits:
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

        await asyncio.wrap_future(database._loop.run(four_at_once()))  # type: ignore[attr-defined]
        with psycopg.connect(postgres_url, autocommit=True) as other:
            ended = "state = 'idle' AND datname = current_database() AND pid <> pg_backend_pid()"
            assert len(other.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ended}").fetchall()) >= 4
        assert await saver.aget_tuple(config("lost")) is not None
        await asyncio.wrap_future(database._loop.run(four_at_once()))  # type: ignore[attr-defined]
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


async def test_closing_writes_what_was_accepted(lasting_url: str) -> None:
    saver = SQLAlchemySaver.from_conn_string(lasting_url)
    where = await put(saver, config("t"))
    pending = [asyncio.ensure_future(saver.aput_writes(where, [("x", n)], f"task-{n}")) for n in range(50)]
    await queued(saver, pending)
    await saver.aclose()
    await asyncio.gather(*pending)
    with pytest.raises(StoreClosed):
        await put(saver, config("t"))
    async with SQLAlchemySaver.from_conn_string(lasting_url) as again:
        found = await again.aget_tuple(where)
        assert found is not None
        assert len(found.pending_writes or []) == 50


async def test_closing_waits_for_reads_that_are_under_way(lasting_url: str) -> None:
    saver = SQLAlchemySaver.from_conn_string(lasting_url)
    await chain(saver, "t", 5)
    reads = [asyncio.ensure_future(saver.aget_tuple(config("t"))) for _ in range(20)]
    await asyncio.sleep(0)
    await saver.aclose()
    assert all(found is not None for found in await asyncio.gather(*reads))


async def test_closing_beneath_a_running_loop_with_a_full_queue_ends(lasting_url: str) -> None:
    saver = SQLAlchemySaver.from_conn_string(lasting_url, settings=DatabaseSettings(max_pending=2))
    where = await put(saver, config("t"))
    tasks = [asyncio.ensure_future(saver.aput_writes(where, [("x", n)], f"task-{n}")) for n in range(20)]
    await asyncio.sleep(0)
    saver.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[:2] == [None, None]
    assert all(result is None or isinstance(result, StoreClosed) for result in results)


async def test_a_synchronous_call_beneath_a_running_loop_with_a_full_queue_ends(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url, settings=DatabaseSettings(max_pending=2)) as saver:
        where = await put(saver, config("t"))
        tasks = [asyncio.ensure_future(saver.aput_writes(where, [("x", n)], f"task-{n}")) for n in range(20)]
        await asyncio.sleep(0)
        saver.put_writes(where, [("x", 20)], "task-20")
        await asyncio.gather(*tasks)
        found = await saver.aget_tuple(where)
        assert found is not None
        assert sorted(write[2] for write in found.pending_writes or []) == list(range(21))


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
