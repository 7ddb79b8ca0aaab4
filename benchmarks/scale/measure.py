"""Fills a PostgreSQL database by COPY, and measures bytes, log, commits, vacuum and steps per second on top of it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import asyncpg

from benchmarks.contenders import CKPTSTORE_POSTGRES, Contender, contenders
from benchmarks.scale.fill import careless, fill
from benchmarks.scale.measured import Frozen, Load, Measured, Part
from benchmarks.sections.steps import take_steps
from benchmarks.workload import HandMade

TASKS = (1, 50)

_PARTS = """
SELECT part.relname, coalesce(indexed.relname, part.relname), greatest(coalesce(indexed.reltuples, part.reltuples), 0)::bigint,
       pg_table_size(part.oid)
FROM pg_class part
LEFT JOIN pg_index ON indexrelid = part.oid
LEFT JOIN pg_class indexed ON indexed.oid = indrelid
WHERE part.relkind IN ('r', 'i') AND part.relnamespace = 'public'::regnamespace
ORDER BY part.relname
"""
_END_OTHERS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_COUNTERS = """
SELECT wal_bytes::bigint, wal_fpi, (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()) FROM pg_stat_wal
"""
#: What the server has read, and has written to its log.
_LOG = """
SELECT wal_bytes::bigint, wal_fpi, (SELECT (blks_read + blks_hit)::bigint FROM pg_stat_database WHERE datname = current_database())
FROM pg_stat_wal
"""
_UPDATES = "SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables"
_PAGE = 8192


async def measure(server: str, checkpoints: int, steps: int, *, is_own: bool = False) -> Measured:
    """One store, which is removed afterwards.

    Args:
        server: the URL of a PostgreSQL server on which a database may be created, and which nobody else uses meanwhile.
        checkpoints: how many it gets; a multiple of 10, from 200,000 on of 100,000.
        steps: how many each number of tasks takes together.
        is_own: nothing but what is measured here is on that server: it need not wait for its disk while the store is filled.
    """
    async with _filled(server, checkpoints, is_own) as (contender, connection):
        all_of_it = await _freeze(connection)
        await connection.execute("ANALYZE")
        vacuum = await _seconds(connection, "VACUUM")
        parts = {name: Part(table, rows, size) for name, table, rows, size in await connection.fetch(_PARTS)}
        loads = {tasks: await _load(contender, connection, tasks, steps) for tasks in TASKS}
        freeze = await _seconds(connection, "VACUUM (FREEZE)")
    return Measured(checkpoints, parts, loads, vacuum, freeze, all_of_it)


async def measure_freezing(server: str, checkpoints: int, *, is_own: bool = False) -> Frozen:
    """What it takes to freeze all of a store, and nothing else; the arguments are those of `measure`."""
    async with _filled(server, checkpoints, is_own) as (_, connection):
        return await _freeze(connection)


@asynccontextmanager
async def _filled(server: str, checkpoints: int, is_own: bool) -> AsyncIterator[tuple[Contender, Any]]:
    (contender,) = [each for each in contenders(server)[0] if each.name == CKPTSTORE_POSTGRES]
    async with contender:
        assert contender.database is not None
        connection = await asyncpg.connect(contender.database.url)
        try:
            async with careless(server) if is_own else nullcontext():
                await fill(contender, checkpoints, connection)
            await connection.execute("CHECKPOINT")
            yield contender, connection
        finally:
            await connection.close()


async def _freeze(connection: Any) -> Frozen:
    """Freeze a store that no vacuum has seen: the most work that freezing can be."""
    revision = await connection.fetchval("SELECT version_num FROM ckpt_alembic_version")
    load_average = os.getloadavg()[0]
    before = await _fresh(connection, _LOG)
    seconds = await _seconds(connection, "VACUUM (FREEZE)")
    after = await _fresh(connection, _LOG)
    log_bytes, page_images, pages = (int(now - then) for now, then in zip(after, before, strict=True))
    return Frozen(seconds, log_bytes, page_images, pages, revision, load_average)


async def _seconds(connection: Any, statement: str) -> float:
    started = time.perf_counter()
    await connection.execute(statement)
    return time.perf_counter() - started


async def _load(contender: Contender, connection: Any, tasks: int, steps: int) -> Load:
    assert contender.database is not None
    await connection.execute("CHECKPOINT")
    before, updated_before = await _counters(connection)
    # A saver of its own: those of the filling are about to be ended.
    async with contender.connect(contender.database.url) as saver:
        name = time.monotonic_ns()
        tags = {"tenant": "tenant-1", "kind": "chat", "user": "user-1"}
        threads = [HandMade(saver, f"scale-{name}-{task}", tags) for task in range(tasks)]
        started = time.perf_counter()
        await asyncio.gather(*(take_steps(thread, steps // tasks) for thread in threads))
        seconds = time.perf_counter() - started
    after, updated = await _counters(connection)
    taken = tasks * (steps // tasks)
    log, images, commits = ((now - then) / taken for now, then in zip(after, before, strict=True))
    changed = {table: tuple(now - then for now, then in zip(updated[table], updated_before[table], strict=True)) for table in updated}
    updates, hot = ({table: each[place] / taken for table, each in changed.items() if each[0]} for place in (0, 1))
    return Load(taken / seconds, max(0.0, log - images * _PAGE), images, commits, updates, hot)


async def _counters(connection: Any) -> tuple[tuple[int, ...], dict[str, tuple[int, int]]]:
    # The others count what they did within the last second when they end.
    await connection.execute(_END_OTHERS)
    counters = await _fresh(connection, _COUNTERS)
    rows = await connection.fetch(_UPDATES)
    return tuple(counters), {table: (updates, hot) for table, updates, hot in rows}


async def _fresh(connection: Any, counters: str) -> Any:
    await connection.execute("SELECT pg_stat_force_next_flush()")
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    return await connection.fetchrow(counters)
