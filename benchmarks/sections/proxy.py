"""A database across a network: the steps of `steps` on PostgreSQL, through a proxy that adds 1 ms in each direction.

The proxy is a process of its own; what it adds is measured with a round trip, directly and through it.
"""

from __future__ import annotations

import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from benchmarks.bench import Bench
from benchmarks.contenders import ASYNC_POSTGRES, CKPTSTORE_POSTGRES, AnySaver, Contender
from benchmarks.link import address_of, slow_link, through
from benchmarks.report import Table
from benchmarks.sections.latency import milliseconds
from benchmarks.sections.steps import CONCURRENCY, steps_per_second
from ckptstore.db.url import parse_database_url

DELAY_SECONDS = 0.001


async def round_trip(url: str, pings: int) -> float:
    """Milliseconds of a `SELECT 1` on the driver's own connection: the median of some."""
    engine = create_async_engine(parse_database_url(url), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver
            return statistics.median([await milliseconds(driver.execute("SELECT 1")) for _ in range(pings)])
    finally:
        await engine.dispose()


def behind(contender: Contender, port: int) -> Contender:
    """The same saver, on databases that it reaches through the link."""

    @asynccontextmanager
    async def connect(url: str) -> AsyncIterator[AnySaver]:
        async with contender.connect(through(url, port)) as saver:
            yield saver

    return contender.opened_with(contender.name, connect)


async def measure(bench: Bench, port: int, table: Table) -> None:
    """Every concurrency on the same open savers, all behind the link."""
    steps = bench.size(1_000, 50)
    async with bench.all_open():
        for contender in bench.contenders:
            await steps_per_second(contender, 10, 50)
            assert contender.database
            direct, slow = contender.database.url, through(contender.database.url, port)
        for tasks in CONCURRENCY:
            laps = await bench.interleaved(partial(steps_per_second, tasks=tasks, steps=steps))
            table.add(f"{tasks} task{'s' if tasks > 1 else ''}", laps, more_is_better=True)
        pings = bench.size(200, 10)
        table.note(
            f"a round trip takes {await round_trip(direct, pings):.2f} ms directly, {await round_trip(slow, pings):.2f} ms through it"
        )


async def run(bench: Bench) -> list[Table]:
    """Measure the savers on PostgreSQL."""
    on_postgres = bench.among([contender for contender in bench.contenders if contender.name in (ASYNC_POSTGRES, CKPTSTORE_POSTGRES)])
    table = on_postgres.table(f"through a proxy, {DELAY_SECONDS * 1e3:.0f} ms each way, steps/s")
    if not on_postgres.contenders:
        table.note("not measured: no PostgreSQL in this run")
        return [table]
    async with on_postgres.contenders[0].fresh_database() as url, slow_link(address_of(url), DELAY_SECONDS) as port:
        await measure(on_postgres.among([behind(contender, port) for contender in on_postgres.contenders]), port, table)
    return [table]
