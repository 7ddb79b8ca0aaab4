"""Beside upkeep: the longest wait of a put of another thread while a thread of 5,000 checkpoints is copied, pruned, deleted.

A thread's puts follow each other without a pause. The one before the upkeep begins, and the one after it ended, count too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from benchmarks.bench import Bench
from benchmarks.contenders import OURS, Contender
from benchmarks.report import Table
from benchmarks.sections.latency import milliseconds
from benchmarks.sections.steps import values_of
from benchmarks.workload import HandMade
from ckptstore import RetentionPolicy, SQLAlchemySaver

LARGE = "large"
COPY = "copy"
CHECKPOINTS = 5_000

# In this order: each leaves the next one enough to do.
UPKEEP: Mapping[str, Callable[[SQLAlchemySaver], Awaitable[Any]]] = {
    "nothing": lambda _saver: asyncio.sleep(0.5),
    "copy_thread": lambda saver: saver.acopy_thread(LARGE, COPY),
    "dry run of a prune": lambda saver: saver.aprune_by(RetentionPolicy(keep_last=1), dry_run=True),
    "rebuild_tags": lambda saver: saver.arebuild_tags(),
    "verify": lambda saver: saver.averify(deep=True),
    "delete_thread": lambda saver: saver.adelete_thread(COPY),
    "delete_for_runs": lambda saver: saver.adelete_for_runs(["run 0"]),
    "prune": lambda saver: saver.aprune_by(RetentionPolicy(keep_last=1)),
    "collect": lambda saver: saver.acollect(grace=timedelta(0)),
    "vacuum": lambda saver: saver.avacuum(),
}


async def fill(saver: SQLAlchemySaver, checkpoints: int) -> None:
    """A thread with a text in segments and five tags a checkpoint."""
    large = HandMade(saver, LARGE)
    for step in range(checkpoints):
        large.tags = {"run_id": f"run {step % 10}", "user": "ann", "kind": "chat"}
        await large.put(**values_of(step), text=f"{step} " * 400)


async def longest_wait(saver: SQLAlchemySaver, upkeep: Callable[[SQLAlchemySaver], Awaitable[Any]], name: str) -> float:
    """Milliseconds of the longest put to a thread beside an upkeep."""
    beside, step = HandMade(saver, json.dumps(["beside", name])), 0
    waits = [await milliseconds(beside.put(**values_of(step)))]
    task = asyncio.ensure_future(upkeep(saver))
    while not task.done():
        step += 1
        waits.append(await milliseconds(beside.put(**values_of(step))))
    await task
    return max(waits)


async def lap(contender: Contender, checkpoints: int) -> dict[str, float]:
    """The longest wait beside each upkeep, in a fresh database."""
    async with contender:
        assert isinstance(contender.saver, SQLAlchemySaver)
        await fill(contender.saver, checkpoints)
        return {name: await longest_wait(contender.saver, upkeep, name) for name, upkeep in UPKEEP.items()}


async def run(bench: Bench) -> list[Table]:
    """Measure ckptstore alone: the official savers have no such upkeep."""
    ours = bench.among([contender for contender in bench.contenders if contender.name in OURS])
    checkpoints = bench.size(CHECKPOINTS, 60, quick=1_000)
    table = ours.table(f"the longest wait of a put beside upkeep of {checkpoints:,} checkpoints, ms")
    laps = await ours.interleaved(partial(lap, checkpoints=checkpoints))
    for name in UPKEEP:
        table.add(f"beside {name}, ms", {contender: [waits[name] for waits in each] for contender, each in laps.items()})
    return [table]
