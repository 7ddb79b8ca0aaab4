"""Two processes put, prune, copy and collect on the same threads of a cluster, while shards move and nodes stop: nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from ckptstore import SQLAlchemySaver
from tests.support.build import config
from tests.support.cluster_work import THREADS, opened
from tests.support.databases import empty_tables, on_citus
from tests.support.rows import counted, listed_counts

ROUNDS = 24
#: Names a command that stops and starts a worker of the cluster, for a shell.
RESTART_VARIABLE = "CKPTSTORE_CITUS_RESTART"
pytestmark = [on_citus, pytest.mark.starts_processes]


@contextmanager
def started(url: str, blobs: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.support.cluster_work", url, blobs.as_uri(), name, str(ROUNDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def move_next(url: str, moved: list[int], mode: str) -> None:
    """Move a shard, with those beside it, to the node that does not have it."""
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT shardid, a.nodename, a.nodeport, b.nodename, b.nodeport FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) "
            "JOIN pg_dist_node a USING (groupid) JOIN pg_dist_node b ON b.groupid <> a.groupid AND b.shouldhaveshards "
            "WHERE logicalrelid = 'ckpt_thread'::regclass ORDER BY shardid"
        ).fetchall()
        shard, *nodes = rows[len(moved) % len(rows)]
        connection.execute("SELECT citus_move_shard_placement(%s, %s, %s, %s, %s, %s::citus.shard_transfer_mode)", (shard, *nodes, mode))
        moved.append(shard)


async def under_load(url: str, blobs: Path, disturb: Callable[[int], None]) -> None:
    """Run both processes, disturb them after each round of the first one, and look for everything at the end."""
    plain = url.replace("+asyncpg", "").replace("+psycopg", "")
    empty_tables(plain)
    async with opened(url, blobs.as_uri()) as saver:
        await saver.setup()
    with started(url, blobs, "a") as a, started(url, blobs, "b") as b:
        lines: list[str] = []
        assert a.stdout is not None
        assert b.stdout is not None
        for number, line in enumerate(a.stdout):
            lines.append(line)
            if number < ROUNDS:
                disturb(number)
        others = b.stdout.readlines()
        assert (a.wait(), b.wait()) == (0, 0)
    async with opened(url, blobs.as_uri()) as saver:
        for name, last in (("a", lines[-1]), ("b", others[-1])):
            await require_stored(saver, name, json.loads(last))
        assert await counted(saver) == await listed_counts(saver)
        report = await saver.averify(deep=True)
        assert report.ok, report


async def require_stored(saver: SQLAlchemySaver, name: str, last: dict[str, list[tuple[str, int]]]) -> None:
    """Every one of the checkpoints that no prune deletes is there, whole."""
    assert last.keys() == set(THREADS)
    for thread, stored in last.items():
        for checkpoint_id, number in stored:
            found = await saver.aget_tuple(config(thread, checkpoint_id, checkpoint_ns=name))
            assert found is not None, (name, thread, number)
            values = found.checkpoint["channel_values"]
            assert (values["n"], values["kept"]) == (number, f"{name} {thread} " * 20)
            assert found.pending_writes == [("task", "n", number)]


@pytest.mark.parametrize("url", ["asyncpg"], indirect=True)
@pytest.mark.parametrize("mode", ["force_logical", "block_writes"])
async def test_while_shards_are_moved(url: str, postgres_url: str, mode: str, tmp_path: Path) -> None:
    moved: list[int] = []

    def disturb(number: int) -> None:
        if number % 3 == 0:
            move_next(postgres_url, moved, mode)

    await under_load(url, tmp_path, disturb)
    assert len(moved) == ROUNDS / 3


@pytest.mark.parametrize("url", ["asyncpg"], indirect=True)
async def test_while_connections_of_the_workers_are_lost(url: str, postgres_url: str, tmp_path: Path) -> None:
    ended: list[int] = []
    end = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND application_name LIKE 'citus_internal%'"
    )

    def disturb(number: int) -> None:
        if number % 4 == 1:
            with psycopg.connect(postgres_url, autocommit=True) as connection:
                rows = connection.execute("SELECT result FROM run_command_on_workers(%s)", (end,)).fetchall()
                ended.append(sum(int(count) for (count,) in rows))

    await under_load(url, tmp_path, disturb)
    assert sum(ended) > 0


@pytest.mark.parametrize("url", ["asyncpg"], indirect=True)
async def test_while_a_worker_is_stopped_and_started(url: str, tmp_path: Path) -> None:
    restart = os.environ.get(RESTART_VARIABLE)
    if not restart:
        pytest.skip(f"needs {RESTART_VARIABLE}, a command that stops and starts a worker")

    def disturb(number: int) -> None:
        if number in (4, 14):
            subprocess.run(restart, shell=True, check=True)  # the command is the developer's own

    await under_load(url, tmp_path, disturb)
