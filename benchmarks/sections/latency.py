"""How long a put takes with 50 tasks at work: p50 and p99 of `aput` and of `aput_writes`.

Each task takes the steps of `steps` on a thread of its own, without a pause.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from functools import partial

from benchmarks.bench import Bench
from benchmarks.contenders import Contender
from benchmarks.report import Table
from benchmarks.sections.steps import steps_per_second, values_of, writes_of
from benchmarks.workload import HandMade

TASKS = 50
PERCENTILES = (50, 99)


@dataclass
class Times:
    """Milliseconds of each call."""

    puts: list[float] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)


async def milliseconds(call: Awaitable[object]) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    await call
    return (time.perf_counter() - started) * 1e3


async def timed_step(thread: HandMade, step: int, times: Times) -> None:
    """A step, and how long its two calls took."""
    times.puts.append(await milliseconds(thread.put(**values_of(step))))
    times.writes.append(await milliseconds(thread.put_writes(**writes_of(step))))


def percentile(values: Sequence[float], percent: int) -> float:
    """What so many percent of at least two values stay below."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


async def lap(contender: Contender, steps: int) -> Times:
    """Every task's times together, on new threads."""
    times = Times()

    async def go_on(thread: HandMade) -> None:
        for step in range(steps // TASKS):
            await timed_step(thread, step, times)

    started = time.monotonic_ns()
    await asyncio.gather(*(go_on(HandMade(contender.saver, f"latency-{started}-{task}")) for task in range(TASKS)))
    return times


async def run(bench: Bench) -> list[Table]:
    """Measure on the same open savers; a percentile is of one lap."""
    # 200 for each task: a single pause, which all 50 wait through, is then half a percent, and does not make the p99 by itself.
    steps = bench.size(10_000, 100)
    table = bench.table(f"{TASKS} tasks, ms")
    async with bench.all_open():
        for contender in bench.contenders:
            await steps_per_second(contender, 10, 50)
        laps = await bench.interleaved(partial(lap, steps=steps))
    for percent in PERCENTILES:
        table.add(f"aput, p{percent}", {name: [percentile(times.puts, percent) for times in each] for name, each in laps.items()})
    for percent in PERCENTILES:
        table.add(f"aput_writes, p{percent}", {name: [percentile(times.writes, percent) for times in each] for name, each in laps.items()})
    return [table]
