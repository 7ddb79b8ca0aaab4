"""A batch on a database that keeps threads on shards: the same rows, the same that is missing, and no waiting for one thread's lock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from ckptstore import SQLAlchemySaver
from ckptstore.records import NewSegment, Value
from ckptstore.runtime.wakeups import settled
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.batch import LOCK_SECONDS
from ckptstore.writes.commit import commit_batch
from ckptstore.writes.commit_on_shards import ShardsCommit
from ckptstore.writes.locked_threads import ThreadLocked
from tests.support.attempts import new_checkpoint, task_writes
from tests.support.batches import recorded, small_checkpoint, work
from tests.support.databases import empty_tables, on_citus, url_of
from tests.support.rows import Rows, counted, listed_counts
from tests.support.shards import as_on_shards


@pytest.fixture(params=["asyncpg", "psycopg"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(f"{request.param} texts", request, tmp_path)


@pytest.fixture(params=["functions", "transactions"])
def way(request: pytest.FixtureRequest) -> str:
    """Whether batches are stored by functions, which only a cluster has, or thread by thread in transactions."""
    if request.param == "functions" and not request.config.getoption("--citus"):
        pytest.skip("only Citus has the functions")
    return str(request.param)


async def on_shards(saver: SQLAlchemySaver, way: str) -> SQLAlchemySaver:
    """The saver, after it has found out where it is."""
    if way == "transactions":
        return await as_on_shards(saver)
    await saver.setup()
    assert saver.store.runner.abilities.shard_map is not None
    return saver


@pytest.fixture
async def sharded(url: str, way: str) -> AsyncIterator[SQLAlchemySaver]:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        yield await on_shards(saver, way)


async def commit(saver: SQLAlchemySaver, batch: Sequence[EncodedWrite]) -> Sequence[MissingParts | None]:
    # Not `saver_commit`, which looks again for what the database can do.
    return await settled(saver.store.runner.write(partial(commit_batch, batch=batch)))


def rows_of(saver: SQLAlchemySaver) -> dict[str, Any]:
    """All rows, in one order and without what is random."""
    tables = Rows.of(saver).tables
    tables["ckpt_thread"] = [{**row, "generation": None} for row in tables["ckpt_thread"]]
    return {name: sorted(rows, key=repr) for name, rows in tables.items()}


async def test_the_rows_are_those_of_one_statement(url: str, way: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as plain:
        batches = recorded(plain)
        await work(plain)
        expected = rows_of(plain)
    empty_tables(url.replace("+asyncpg", "").replace("+psycopg", ""))
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await on_shards(saver, way)
        for batch in batches:
            assert await commit(saver, batch) == [None] * len(batch)
        assert rows_of(saver) == expected
        assert await counted(saver) == await listed_counts(saver)


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


@on_citus
async def test_the_writes_of_each_node_are_one_call(sharded: SQLAlchemySaver, way: str) -> None:
    batch = [small_checkpoint(f"t{number}", "1") for number in range(24)]
    shard_map = sharded.store.runner.abilities.shard_map
    attempt = ShardsCommit(batch, LOCK_SECONDS)
    call = attempt.statement(sharded.store.runner.statements, sharded.store.runner.abilities)
    if way == "transactions":
        assert call is None
        return
    assert shard_map is not None
    assert len(attempt._calls) == shard_map.node_count == 2
    assert call is not None
    text, arguments = call
    assert not await settled(sharded.store.runner.write(lambda db: attempt.answered(db.execute(text, arguments).all())))
    assert 0 < len(attempt._left) < len(batch)
    assert await settled(sharded.store.runner.write(attempt.finish)) == [None] * len(batch)
    assert len(Rows.of(sharded).tables["ckpt_checkpoint"]) == len(batch)
    assert await counted(sharded) == await listed_counts(sharded)


@on_citus
@pytest.mark.parametrize("way", ["functions"])
async def test_what_was_taken_to_another_node_is_declined_and_found_again(sharded: SQLAlchemySaver) -> None:
    abilities = sharded.store.runner.abilities
    assert abilities.shard_map is not None
    nodes = sorted({shard.node for shard in abilities.shard_map.shards if shard is not None})
    swapped = [None if shard is None else shard._replace(node=nodes[shard.node == nodes[0]]) for shard in abilities.shard_map.shards]
    right, abilities.shard_map = abilities.shard_map, replace(abilities.shard_map, shards=swapped)
    # As if every shard had moved: a call goes where its first thread is, and takes others along.
    mixed = replace(right, shards=[None if shard is None else shard._replace(node=nodes[0]) for shard in right.shards])
    for known in (abilities.shard_map, mixed):
        abilities.shard_map = known
        batch = [small_checkpoint(f"{known is mixed} {number}", "1") for number in range(12)]
        assert await commit(sharded, batch) == [None] * len(batch)
        assert await counted(sharded) == await listed_counts(sharded)
    assert abilities.shard_map == right


@on_citus
@pytest.mark.parametrize("way", ["functions"])
async def test_what_was_sorted_to_another_shard_is_declined(sharded: SQLAlchemySaver, postgres_url: str) -> None:
    """What would be stored where no statement finds it."""
    abilities = sharded.store.runner.abilities
    assert abilities.shard_map is not None
    abilities.shard_map = replace(abilities.shard_map, shards=[*abilities.shard_map.shards[1:], abilities.shard_map.shards[0]])
    batch = [small_checkpoint(f"t{number}", "1") for number in range(12)]
    assert await commit(sharded, batch) == [None] * len(batch)
    with psycopg.connect(postgres_url) as connection:
        for write in batch:
            query = "SELECT count(*) FROM ckpt_checkpoint WHERE thread_id = %s"
            assert connection.execute(query, (write.record.key.thread_id,)).fetchone() == (1,)


@on_citus
@pytest.mark.parametrize("way", ["functions"])
@pytest.mark.parametrize("url", ["psycopg"], indirect=True)
async def test_a_shard_is_not_moved_while_a_batch_is_stored_in_it(sharded: SQLAlchemySaver, postgres_url: str) -> None:
    """A row that comes into the shard after it was copied would be lost."""
    call = ShardsCommit([small_checkpoint("t", "1")], LOCK_SECONDS).statement(
        sharded.store.runner.statements, sharded.store.runner.abilities
    )
    assert call is not None
    shard, *nodes = where_is(postgres_url, "t")
    mover = psycopg.connect(postgres_url, autocommit=True)
    at_node = make_url(postgres_url).set(host=nodes[0], port=nodes[1]).render_as_string(hide_password=False)
    with mover, psycopg.connect(at_node) as storing, psycopg.connect(at_node, autocommit=True) as looking:
        storing.execute(*call)
        move = "SELECT citus_move_shard_placement(%s, %s, %s, %s, %s, 'block_writes')"
        moving = asyncio.ensure_future(asyncio.to_thread(mover.execute, move, (shard, *nodes)))
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while looking.execute(waiting).fetchone() == (0,):
            assert not moving.done(), "it was moved"
            await asyncio.sleep(0)
        storing.commit()
        await moving
        assert where_is(postgres_url, "t")[1:3] == nodes[2:]
        found = mover.execute("SELECT count(*) FROM ckpt_checkpoint WHERE thread_id = 't'").fetchone()
    assert found == (1,)


def where_is(url: str, thread_id: str) -> list[Any]:
    """The shard of a thread, the node that has it, and another one."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT shardid, a.nodename, a.nodeport, b.nodename, b.nodeport FROM pg_dist_placement JOIN pg_dist_node a USING (groupid) "
            "JOIN pg_dist_node b ON b.groupid <> a.groupid AND b.shouldhaveshards "
            "WHERE shardid = get_shard_id_for_distribution_column('ckpt_thread', %s::text)",
            (thread_id,),
        ).fetchone()
    assert found is not None
    return list(found)
