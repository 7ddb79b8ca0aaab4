"""A batch on PostgreSQL: the function and the statement store the same rows, leave out the same writes, and see the same deletions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db.abilities import Abilities
from ckptstore.db.async_runner import AsyncRunner
from ckptstore.db.connection import Db
from ckptstore.records import CheckpointKey, NewSegment, NewWrite, NewWrites, Value
from ckptstore.runtime.wakeups import settled
from ckptstore.values.encode import EncodedWrite, StoredForm
from ckptstore.writes import commit_postgres
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.batch import LOCK_SECONDS
from ckptstore.writes.commit import commit_batch
from tests.support.attempts import encoded, new_checkpoint, task_writes
from tests.support.batches import ODD, recorded, saver_commit, small_checkpoint, work
from tests.support.databases import empty_tables, on_one_server, url_of
from tests.support.rows import Rows, counted, listed_counts

# On a cluster `commit_on_shards` stores batches.
pytestmark = on_one_server

WAYS = ("function", "statement")


@pytest.fixture(params=["asyncpg", "psycopg", "asyncpg partitioned"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of PostgreSQL's, of each kind in turn."""
    return url_of(request.param, request, tmp_path)


def plain(url: str) -> str:
    return url.replace("+asyncpg", "").replace("+psycopg", "")


async def opened(url: str, way: str) -> SQLAlchemySaver:
    """A saver that stores batches in one of the two ways."""
    saver = SQLAlchemySaver.from_conn_string(url)
    await saver.setup()
    runner = saver.store.runner
    assert isinstance(runner, AsyncRunner)
    assert runner.abilities.batch_function is not None
    if way == "statement":
        runner.abilities = Abilities()
    return saver


@pytest.fixture(params=WAYS)
async def saver(request: pytest.FixtureRequest, url: str) -> AsyncIterator[SQLAlchemySaver]:
    async with await opened(url, request.param) as made:
        yield made


def rows_of(saver: SQLAlchemySaver) -> dict[str, Any]:
    """All rows, in one order and without what is random."""
    tables = Rows.of(saver).tables
    tables["ckpt_thread"] = [{**row, "generation": None} for row in tables["ckpt_thread"]]
    return {name: sorted(rows, key=repr) for name, rows in tables.items()}


async def test_both_ways_store_the_same_rows(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    alone: list[EncodedWrite] = []
    store_alone = commit_postgres._store_alone

    def noted(db: Db, number: int, write: EncodedWrite, *args: Any, **options: Any) -> Any:
        alone.append(write)
        return store_alone(db, number, write, *args, **options)

    monkeypatch.setattr(commit_postgres, "_store_alone", noted)
    async with await opened(url, "function") as by_function:
        batches = recorded(by_function)
        await work(by_function)
        # Only the checkpoint that was put again.
        assert len(alone) == 1
        found = rows_of(by_function)
    empty_tables(plain(url))
    async with await opened(url, "statement") as by_statement:
        for batch in batches:
            await saver_commit(by_statement, batch)
        assert len(alone) == 2
        assert rows_of(by_statement) == found
    empty = {"ckpt_object", "ckpt_object_content", "ckpt_setting", "ckpt_load", "ckpt_lease"}
    assert all(found[table] for table in found.keys() - empty)


@pytest.mark.parametrize("way", WAYS)
async def test_many_writes_in_one_batch_are_the_rows_of_many_batches(url: str, way: str) -> None:
    threads = [f"{ODD} {number}" for number in range(5)]
    writes = [write for thread in threads for write in (small_checkpoint(thread, ODD), task_writes(thread, ODD, ODD.encode()))]
    found: list[Any] = []
    for batches in ([[write] for write in writes], [writes]):
        empty_tables(plain(url))
        async with await opened(url, way) as saver:
            for batch in batches:
                assert await saver_commit(saver, batch) == [None] * len(batch)
            found.append(rows_of(saver))
    assert found[0] == found[1]
    assert [len(found[0][table]) for table in ("ckpt_thread", "ckpt_checkpoint", "ckpt_tag", "ckpt_write")] == [5] * 4


def lacking(thread_id: str, digest: str = "gone") -> EncodedWrite:
    """A task's writes that name a segment."""
    record = NewWrites(CheckpointKey(thread_id, "", "c"), "task", "", 0, [NewWrite(0, "x", Value("null", b""))], False)
    return EncodedWrite(record, [StoredForm(None, f'["{digest}"]')], (), (digest,), 0, blocks_thread=True)


async def test_what_misses_something_stays_out_with_all_of_it_and_the_others_go_in(saver: SQLAlchemySaver) -> None:
    carrying = new_checkpoint("carrying", "c", carried=[("a", "1"), ("b", "1")], size=7)
    answers = await saver_commit(saver, [small_checkpoint("one", "c"), lacking("lacking"), carrying, small_checkpoint("two", "c")])
    assert answers == [None, MissingParts(segments=("gone",)), MissingParts(channels=("a", "b")), None]
    tables = Rows.of(saver).tables
    assert {row["thread_id"] for row in tables["ckpt_checkpoint"]} == {"one", "two"}
    assert {row["thread_id"] for row in tables["ckpt_thread"]} == {"one", "two"}
    assert {row["thread_id"] for row in tables["ckpt_tag"]} == {"one", "two"}
    assert tables["ckpt_write"] == []


async def test_a_checkpoint_that_is_there_is_replaced_beside_new_ones_and_counted_once(saver: SQLAlchemySaver) -> None:
    await saver_commit(saver, [small_checkpoint("t", "c", "old")])
    batch = [small_checkpoint("t", "c", "new"), small_checkpoint("t", "d", "new"), task_writes("t", "task"), small_checkpoint("u", "c")]
    assert await saver_commit(saver, batch) == [None] * 4
    tables = Rows.of(saver).tables
    of_t = {(row["checkpoint_id"], row["key"]) for row in tables["ckpt_tag"] if row["thread_id"] == "t"}
    assert of_t == {("c", "new"), ("d", "new")}
    assert {row["thread_id"]: row["checkpoint_count"] for row in tables["ckpt_thread"]} == {"t": 2, "u": 1}


async def test_of_writes_with_one_index_the_first_is_kept_and_the_last_replaces(saver: SQLAlchemySaver) -> None:
    key = CheckpointKey("t", "", "c")
    twice = [NewWrite(-1, "x", Value("bytes", data)) for data in (b"first", b"last")]
    for task, replace in (("kept", False), ("replaced", True)):
        assert await saver_commit(saver, [encoded(NewWrites(key, task, "", 0, twice, replace))]) == [None]
        # The same again, as after a loss of the connection.
        assert await saver_commit(saver, [encoded(NewWrites(key, task, "", 0, twice, replace))]) == [None]
    found = {row["task_id"]: row["value"] for row in Rows.of(saver).tables["ckpt_write"]}
    assert found == {"kept": b"first", "replaced": b"last"}


async def test_a_batch_that_is_repeated_stores_and_counts_nothing_twice(saver: SQLAlchemySaver) -> None:
    batch = [small_checkpoint("t", "c"), small_checkpoint("u", "c"), task_writes("u", "task")]
    for _ in range(2):
        assert await saver_commit(saver, batch) == [None] * 3
    assert await listed_counts(saver) == await counted(saver)
    assert {name: len(rows) for name, rows in Rows.of(saver).tables.items() if rows} == {
        "ckpt_thread": 2, "ckpt_checkpoint": 2, "ckpt_tag": 2, "ckpt_write": 1,
    }  # fmt: skip


async def test_rows_that_nobody_of_ours_left_there_are_no_obstacle(saver: SQLAlchemySaver) -> None:
    """A tag without its checkpoint, and a segment that this process does not know of."""
    segment = NewSegment("d", 1, "raw", b"x", None)
    assert await saver_commit(saver, [task_writes("t", "task")._replace(segments=(segment,))]) == [None]
    await settled(saver.store.runner.write(lambda db: db.execute("INSERT INTO ckpt_tag VALUES ('p', 's', 'c', 't', '')")))
    batch = [small_checkpoint("t", "c")._replace(segments=(segment,)), small_checkpoint("u", "c")]
    assert await saver_commit(saver, batch) == [None] * 2
    tables = Rows.of(saver).tables
    assert sorted(row["thread_id"] for row in tables["ckpt_tag"]) == ["t", "u"]
    assert [row["thread_id"] for row in tables["ckpt_segment"]] == ["t"]
    assert await listed_counts(saver) == await counted(saver)


@contextmanager
def deleting(url: str, thread_id: str, whole: bool) -> Iterator[psycopg.Connection[Any]]:
    """Another transaction that deletes the segments of a thread, or all of it, and has not committed yet."""
    with psycopg.connect(url) as other:
        other.execute("UPDATE ckpt_thread SET generation = generation + 1 WHERE thread_id = %s", [thread_id])
        other.execute("DELETE FROM ckpt_segment WHERE thread_id = %s", [thread_id])
        if whole:
            other.execute("DELETE FROM ckpt_thread WHERE thread_id = %s", [thread_id])
        yield other


@pytest.mark.parametrize("whole", [False, True], ids=["pruned", "deleted"])
async def test_what_is_deleted_while_a_batch_waits_for_the_thread_is_missing(saver: SQLAlchemySaver, url: str, whole: bool) -> None:
    digest, segment = "d", NewSegment("d", 1, "raw", b"x", None)
    assert await saver_commit(saver, [task_writes("t", "first")._replace(segments=(segment,))]) == [None]
    server = plain(url)
    with deleting(server, "t", whole) as other:
        answer = asyncio.ensure_future(saver_commit(saver, [lacking("t", digest)]))
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        with psycopg.connect(server, autocommit=True) as looking:
            while looking.execute(waiting).fetchone() == (0,):  # noqa: ASYNC110
                await asyncio.sleep(0)
        other.commit()
        assert await answer == [MissingParts(segments=(digest,))]
    assert [row["task_id"] for row in Rows.of(saver).tables["ckpt_write"]] == ["first"]


async def test_a_lock_timeout_is_over_with_the_batch(saver: SQLAlchemySaver) -> None:
    def look(db: Db) -> str:
        commit_batch(db, [small_checkpoint("t", "c"), small_checkpoint("u", "c")], LOCK_SECONDS)
        return str(db.execute("SHOW lock_timeout").scalar_one())

    assert saver.store.runner.write(look).result() == "0"
