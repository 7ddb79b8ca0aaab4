"""Opening an existing database: from the constructor to the acknowledgement of the first put, in a process that has done so before.

`start` has the import, and the first put on a fresh database.
"""

from __future__ import annotations

import statistics
import time

from benchmarks.bench import Bench
from benchmarks.contenders import CONNECT, IN_MEMORY, Contender
from benchmarks.report import Table
from benchmarks.sections.steps import values_of
from benchmarks.workload import HandMade


async def opening(contender: Contender, times: int) -> tuple[float, float]:
    """Milliseconds of wall time and of CPU: the medians of so many openings, each of which is closed before the next."""
    wall, cpu = list[float](), list[float]()
    async with contender:
        assert contender.database is not None
        for number in range(times + 1):
            started, busy = time.perf_counter(), time.process_time()
            async with CONNECT[contender.name](contender.database.url) as saver:
                await HandMade(saver, f"opening-{number}").put(**values_of(0))
                wall.append((time.perf_counter() - started) * 1e3)
                cpu.append((time.process_time() - busy) * 1e3)
    # What the first one does, the others find done.
    return statistics.median(wall[1:]), statistics.median(cpu[1:])


async def run(bench: Bench) -> list[Table]:
    """Measure those that have a database."""
    times = bench.size(20, 2, quick=10)
    bench = bench.among([contender for contender in bench.contenders if contender.name != IN_MEMORY])
    laps = await bench.interleaved(lambda contender: opening(contender, times))
    table = bench.table("constructor and first put on an existing database")
    table.add("wall, ms", {name: [wall for wall, _ in each] for name, each in laps.items()})
    table.add("CPU, ms", {name: [cpu for _, cpu in each] for name, each in laps.items()})
    return [table]
