"""Steps a second: a step is one `aput` and one `aput_writes` of a small checkpoint.

1, 10 and 50 tasks at once, each on a thread of its own, share the same number of steps. A step of a thread waits for the one before.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

from benchmarks.bench import Bench
from benchmarks.charts import draw_lines, medians
from benchmarks.contenders import IN_MEMORY, Contender
from benchmarks.report import Table
from benchmarks.workload import HandMade

CONCURRENCY = (1, 10, 50)


def values_of(step: int) -> dict[str, Any]:
    """What a small agent stores: two messages, a counter and a trigger."""
    messages = [{"role": "user", "content": f"How far are we with part {step}?"}, {"role": "assistant", "content": "Nearly there."}]
    return {"messages": messages, "count": step, "branch:to:agent": None}


def writes_of(step: int) -> dict[str, Any]:
    """What its task writes."""
    return {"messages": [{"role": "assistant", "content": f"Part {step} is done."}], "count": step + 1}


async def take_steps(thread: HandMade, steps: int) -> None:
    """One after the other, on one thread."""
    for step in range(steps):
        await thread.put(**values_of(step))
        await thread.put_writes(**writes_of(step))


async def steps_per_second(contender: Contender, tasks: int, steps: int) -> float:
    """One lap, on new threads."""
    lap = time.monotonic_ns()
    threads = [HandMade(contender.saver, f"steps-{lap}-{task}") for task in range(tasks)]
    started = time.perf_counter()
    await asyncio.gather(*(take_steps(thread, steps // tasks) for thread in threads))
    return tasks * (steps // tasks) / (time.perf_counter() - started)


async def run(bench: Bench) -> list[Table]:
    """Measure every concurrency on the same open savers."""
    steps = bench.size(2_000, 50, quick=500)
    table = bench.table("steps/s")
    async with bench.all_open():
        for contender in bench.contenders:
            # Connections, statement caches and imports.
            await steps_per_second(contender, 10, 50)
        laps = {tasks: await bench.interleaved(partial(steps_per_second, tasks=tasks, steps=steps)) for tasks in CONCURRENCY}
    for tasks, each in laps.items():
        table.add(f"{tasks} task{'s' if tasks > 1 else ''}", each, more_is_better=True)
    if bench.results:
        # Memory is so much faster that all others would lie on one line.
        lines = {name: points for name, points in medians(laps).items() if name != IN_MEMORY}
        axes = ("tasks at once", "steps/s")
        draw_lines(bench.results / "steps.png", "Steps a second (one aput and one aput_writes)", axes, lines, logarithmic="x")
    return [table]
