"""Growth: upkeep and listings of threads of 500 to 8,000 checkpoints; an exponent of 1 is time that grows as the thread does.

A step is one checkpoint with one task's write. Each size is a database of its own, a copy of the newest of one thread that is made once, in
memory. The prune beside a writer is of everything but the newest checkpoint; before each of its transactions the thread gets another one.

Beside the exponent of the time there are those of what other load on the machine does not change, or changes little: the CPU time of the
process, with Python's garbage collector and without it, statements, rows that they gave, and steps of SQLite. A full collection looks at
all objects of the process; how many there are during a listing whose results are kept depends on what else is alive.
"""

from __future__ import annotations

import copy
import gc
import math
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import NamedTuple

from benchmarks.bench import Bench, Scale
from benchmarks.contenders import OURS, Contender
from benchmarks.counting import counted
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


class Cost(NamedTuple):
    """Of one operation."""

    milliseconds: float
    cpu_milliseconds: float
    #: Of the CPU time, what Python's garbage collector took.
    collector_milliseconds: float
    statements: int
    rows: int
    #: None on PostgreSQL.
    steps: int | None


#: What exponents are of: the words of a row's label, and the part of a cost.
EXPONENTS: Mapping[str, Callable[[Cost], float | None]] = {
    "exponent": lambda cost: cost.milliseconds,
    "exponent of CPU": lambda cost: cost.cpu_milliseconds,
    "exponent of CPU without the collector": lambda cost: cost.cpu_milliseconds - cost.collector_milliseconds,
    "exponent of statements": lambda cost: cost.statements,
    "exponent of rows": lambda cost: cost.rows,
    "exponent of SQLite's steps": lambda cost: cost.steps,
}
Laps = Mapping[str, Sequence[Mapping[str, Cost]]]


async def fill(saver: SQLAlchemySaver, steps: int) -> HandMade:
    """One thread of so many steps."""
    made = HandMade(saver, "growing", PINNED)
    for step in range(steps):
        await made.put(count=step)
        await made.put_writes(count=step)
    return made


def continued(made: HandMade, saver: SQLAlchemySaver, steps: int) -> HandMade:
    """The thread in another store, which has its newest steps."""
    other = copy.copy(made)
    other.saver, other.step = saver, steps - 1
    other.values, other.versions = dict(made.values), dict(made.versions)
    return other


async def lap(contender: Contender, source: HandMade, steps: int) -> dict[str, Cost]:
    """What each operation costs, in a fresh database."""
    async with contender:
        saver, origin = contender.saver, source.saver
        assert isinstance(saver, SQLAlchemySaver)
        assert isinstance(origin, SQLAlchemySaver)
        assert (await origin.acopy_to(saver, newest=steps, verify="none")).checkpoints == steps
        made = continued(source, saver, steps)
        return {name: await cost_of(partial(operation, made, saver), contender) for name, operation in OPERATIONS.items()}


class Collector:
    """The CPU time of Python's garbage collector."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def note(self, phase: str, _info: dict[str, int]) -> None:
        """Called by Python before and after each collection."""
        if phase == "start":
            self._began = time.process_time()
        else:
            self.seconds += time.process_time() - self._began


@contextmanager
def collector_watched() -> Iterator[Collector]:
    """What the collector takes in this context."""
    collector = Collector()
    gc.callbacks.append(collector.note)
    try:
        yield collector
    finally:
        gc.callbacks.remove(collector.note)


async def cost_of(operation: Callable[[], Awaitable[None]], contender: Contender) -> Cost:
    """Run an operation once."""
    with counted() as asked, collector_watched() as collector:
        started, busy = time.perf_counter(), time.process_time()
        await operation()
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - busy
    steps = asked.steps if contender.in_a_file else None
    return Cost(seconds * 1e3, cpu_seconds * 1e3, collector.seconds * 1e3, asked.statements, asked.rows, steps)


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """The power of the size with which costs grow: the slope of a line through their logarithms."""
    return statistics.linear_regression([math.log(size) for size in sizes], [math.log(max(1, cost)) for cost in costs]).slope


def figures(laps: Laps, name: str, part: Callable[[Cost], float | None]) -> dict[str, list[float]]:
    """One part of what an operation cost, a figure each lap, of every contender that has it."""
    found = {saver: [part(each[name]) for each in of_saver] for saver, of_saver in laps.items()}
    return {saver: [each for each in parts if each is not None] for saver, parts in found.items() if None not in parts}


async def run(bench: Bench) -> list[Table]:
    """Measure ckptstore alone: the official savers have no such upkeep."""
    ours = bench.among([contender for contender in bench.contenders if contender.name in OURS])
    sizes = SIZES[bench.scale]
    async with SQLAlchemySaver.from_conn_string(":memory:") as origin:
        source = await fill(origin, sizes[-1])
        # Whatever is loaded or compiled at the first use.
        await ours.interleaved(partial(lap, source=source, steps=20))
        by_size: list[Laps] = [await ours.interleaved(partial(lap, source=source, steps=size)) for size in sizes]
    table = ours.table(f"threads of {sizes[0]:,} to {sizes[-1]:,} checkpoints")
    for name in OPERATIONS:
        for size, laps in zip(sizes, by_size, strict=True):
            table.add(f"{name}, {size:,}, ms", figures(laps, name, EXPONENTS["exponent"]))
        for label, part in EXPONENTS.items():
            seen = [{saver: statistics.median(each) for saver, each in figures(laps, name, part).items()} for laps in by_size]
            table.add(
                f"{name}, {label}", {saver: [exponent(sizes, [each[saver] for each in seen])] for saver in seen[0]}, more_is_better=None
            )
    return [table]
