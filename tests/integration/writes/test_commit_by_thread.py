"""A batch that is stored thread by thread: the same rows, the same that is missing, and no waiting for one thread's lock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db.async_runner import AsyncRunner
from ckptstore.db.connection import Db
from ckptstore.db.sql.thread_function import FUNCTION, definition
from ckptstore.records import NewSegment, Value
from ckptstore.runtime.wakeups import settled
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes import commit_by_thread
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.commit import commit_batch
from ckptstore.writes.locked_threads import ThreadLocked
from tests.support.attempts import new_checkpoint, task_writes
from tests.support.batches import recorded, small_checkpoint, work
from tests.support.databases import empty_tables, url_of
from tests.support.rows import Rows, counted, listed_counts
from tests.support.shards import as_on_shards


@pytest.fixture(params=["asyncpg", "psycopg"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


@pytest.fixture(params=["function", "transaction"])
def way(request: pytest.FixtureRequest, url: str) -> Iterator[str | None]:
    """The schema of the function for one thread, or None where each thread's writes are a transaction."""
    plain = url.replace("+asyncpg", "").replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        if request.param == "function":
            create, _ = definition("public")
            connection.execute(create)
        yield "public" if request.param == "function" else None
        connection.execute(f"DROP FUNCTION IF EXISTS {FUNCTION}")


@pytest.fixture
async def sharded(url: str, way: str | None) -> AsyncIterator[SQLAlchemySaver]:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        yield await as_on_shards(saver, way)


async def commit(saver: SQLAlchemySaver, batch: Sequence[EncodedWrite]) -> Sequence[MissingParts | None]:
    # Not `saver_commit`, which looks again for what the database can do.
    return await settled(saver.store.runner.write(partial(commit_batch, batch=batch)))


def rows_of(saver: SQLAlchemySaver) -> dict[str, Any]:
    """All rows, in one order and without what is random."""
    tables = Rows.of(saver).tables
    tables["ckpt_thread"] = [{**row, "generation": None} for row in tables["ckpt_thread"]]
    return {name: sorted(rows, key=repr) for name, rows in tables.items()}


async def test_the_rows_are_those_of_one_statement(url: str, way: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as plain:
        batches = recorded(plain)
        await work(plain)
        expected = rows_of(plain)
    empty_tables(url.replace("+asyncpg", "").replace("+psycopg", ""))
    calls: list[int] = []
    original = commit_by_thread.commit

    def noted(db: Db, batch: Sequence[EncodedWrite], lock_seconds: float) -> Sequence[MissingParts | None]:
        calls.append(len(batch))
        return original(db, batch, lock_seconds)

    monkeypatch.setattr(commit_by_thread, "commit", noted)
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await as_on_shards(saver, way)
        for batch in batches:
            assert await commit(saver, batch) == [None] * len(batch)
        assert rows_of(saver) == expected
        assert await counted(saver) == await listed_counts(saver)
    assert len(calls) == len(batches)


async def test_entries_of_one_thread_are_one_transaction(sharded: SQLAlchemySaver) -> None:
    segment = NewSegment("d" * 43, 5, "raw", b"bytes", None)
    made = new_checkpoint("t", "1", values=[("c", "1", Value("msgpack", b"x"))])
    both = [made, task_writes("t", "a"), task_writes("t", "b"), small_checkpoint("other", "1")]
    both = [each._replace(segments=[segment]) if each.record.key.thread_id == "t" else each for each in both]
    assert await commit(sharded, both) == [None] * 4
    found = Rows.of(sharded).tables
    assert len(found["ckpt_segment"]) == 1
    assert {row["thread_id"]: row["checkpoint_count"] for row in found["ckpt_thread"]} == {"t": 1, "other": 1}
    assert len({row["task_id"] for row in found["ckpt_write"]}) == 2


async def test_what_is_missing_is_not_stored_and_leaves_no_thread(sharded: SQLAlchemySaver) -> None:
    carrying = new_checkpoint("t", "1", carried=[("c", "1")])
    assert await commit(sharded, [carrying, small_checkpoint("other", "1")]) == [MissingParts(channels=("c",)), None]
    assert [row["thread_id"] for row in Rows.of(sharded).tables["ckpt_thread"]] == ["other"]
    assert await counted(sharded) == await listed_counts(sharded)


async def test_a_replaced_checkpoint_is_counted_once(sharded: SQLAlchemySaver) -> None:
    for _ in range(2):
        assert await commit(sharded, [small_checkpoint("t", "1"), small_checkpoint("u", "1")]) == [None, None]
    assert await counted(sharded) == await listed_counts(sharded)


async def test_a_locked_thread_is_waited_for_by_its_own_writes_only(sharded: SQLAlchemySaver, url: str) -> None:
    await commit(sharded, [small_checkpoint("t", "1")])
    with psycopg.connect(url.replace("+asyncpg", "").replace("+psycopg", "")) as other:
        other.execute("SELECT FROM ckpt_thread WHERE thread_id = 't' FOR UPDATE")
        with pytest.raises(ThreadLocked, match="one of 2 writes"):
            await commit(sharded, [small_checkpoint("t", "2"), small_checkpoint("u", "1")])


async def test_a_function_that_is_gone_is_done_without(sharded: SQLAlchemySaver, url: str, way: str | None) -> None:
    if way is None:
        pytest.skip("there is no function")
    with psycopg.connect(url.replace("+asyncpg", "").replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"DROP FUNCTION {FUNCTION}")
    assert await commit(sharded, [small_checkpoint("t", "1")]) == [None]
    assert isinstance(sharded.store.runner, AsyncRunner)
    assert sharded.store.runner.abilities.thread_function is None
    assert await counted(sharded) == await listed_counts(sharded)
