"""Growth: upkeep and listings of threads of 500 to 8,000 checkpoints; an exponent of 1 is time that grows as the thread does.

A step is one checkpoint with one task's write. Each size is a database of its own. The prune beside a writer is of everything but the
newest checkpoint; before each of its transactions the thread gets another one.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from benchmarks.bench import Bench, Scale
from benchmarks.contenders import OURS, Contender
from benchmarks.report import Table
from benchmarks.workload import HandMade
from ckptstore import RetentionPolicy, SQLAlchemySaver

SIZES: Mapping[Scale, Sequence[int]] = {
    Scale.SMOKE: (60, 120),
    Scale.QUICK: (500, 1_000, 2_000, 4_000),
    Scale.NORMAL: (500, 1_000, 2_000, 4_000, 8_000),
    Scale.FULL: (1_000, 4_000, 16_000),
}
PINNED = {"kind": "pinned"}


async def list_all(made: HandMade, saver: SQLAlchemySaver) -> None:
    """A listing of the whole thread, of all its namespaces."""
    thread_id = made.config["configurable"]["thread_id"]
    assert len([each async for each in saver.alist({"configurable": {"thread_id": thread_id}})]) == made.step + 1


async def prune_nothing_old(_made: HandMade, saver: SQLAlchemySaver) -> None:
    """A prune by age that finds nothing of that age."""
    assert not (await saver.aprune_by(RetentionPolicy(max_age=timedelta(days=30)))).checkpoints


async def prune_pinned(_made: HandMade, saver: SQLAlchemySaver) -> None:
    """A prune by age that finds everything, and must keep all of it."""
    assert not (await saver.aprune_by(RetentionPolicy(max_age=timedelta(0), keep_tags=[PINNED]))).checkpoints


async def prune_beside_a_writer(made: HandMade, saver: SQLAlchemySaver) -> None:
    """A prune of the thread that gets a checkpoint before each transaction."""

    def put() -> bool:
        made.put_now(count=made.step)
        return False

    assert (await saver.aprune_by(RetentionPolicy(keep_last=1), should_stop=put)).checkpoints


#: In this order: the last one deletes what the others read.
OPERATIONS: Mapping[str, Callable[[HandMade, SQLAlchemySaver], Awaitable[None]]] = {
    "listing without checkpoint_ns": list_all,
    "max_age, nothing old": prune_nothing_old,
    "prune, everything pinned": prune_pinned,
    "prune of a thread that is written to": prune_beside_a_writer,
}


async def lap(contender: Contender, steps: int) -> dict[str, float]:
    """Milliseconds of each operation, in a fresh database."""
    async with contender:
        saver = contender.saver
        assert isinstance(saver, SQLAlchemySaver)
        made = HandMade(saver, "growing", PINNED)
        for step in range(steps):
            await made.put(count=step)
            await made.put_writes(count=step)
        milliseconds = {}
        for name, operation in OPERATIONS.items():
            started = time.perf_counter()
            await operation(made, saver)
            milliseconds[name] = (time.perf_counter() - started) * 1e3
        return milliseconds


def exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """The power of the size with which times grow: the slope of a line through their logarithms."""
    return statistics.linear_regression([math.log(size) for size in sizes], [math.log(time) for time in times]).slope


async def run(bench: Bench) -> list[Table]:
    """Measure ckptstore alone: the official savers have no such upkeep."""
    ours = bench.among([contender for contender in bench.contenders if contender.name in OURS])
    sizes = SIZES[bench.scale]
    # Whatever is loaded or compiled at the first use.
    await ours.interleaved(partial(lap, steps=20))
    by_size: list[Mapping[str, Sequence[dict[str, float]]]] = [await ours.interleaved(partial(lap, steps=size)) for size in sizes]
    table = ours.table(f"threads of {sizes[0]:,} to {sizes[-1]:,} checkpoints")
    for name in OPERATIONS:
        seen: list[dict[str, list[Any]]] = [{saver: [each[name] for each in laps] for saver, laps in one.items()} for one in by_size]
        for size, laps in zip(sizes, seen, strict=True):
            table.add(f"{name}, {size:,}, ms", laps)
        medians = {saver: [statistics.median(laps[saver]) for laps in seen] for saver in seen[0]}
        table.add(f"{name}, exponent", {saver: [exponent(sizes, times)] for saver, times in medians.items()}, more_is_better=None)
    return [table]
