"""4 processes on one database, 25 tasks in each: steps a second of all together, errors, and what was acknowledged and is lost.

They take the steps of `steps`, from the same moment on. A step that fails is counted by the class of its error, and its task goes on
with the next one. Then a fresh saver reads every thread: each acknowledged checkpoint and each task's writes have to be there.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

from benchmarks.bench import Bench
from benchmarks.contenders import CONNECT, IN_MEMORY, AnySaver, Contender
from benchmarks.fresh import in_fresh_processes
from benchmarks.report import Table
from benchmarks.sections.steps import values_of, writes_of
from benchmarks.workload import HandMade, thread

PROCESSES = 4
TASKS = 25
WARM_TASKS = 10
WAIT_SECONDS = 60


class Acknowledged(NamedTuple):
    """A checkpoint, or the writes to it, that a saver said it has."""

    thread_id: str
    checkpoint_id: str
    step: int


@dataclass
class Work:
    """What one process did, and from when to when by the machine's clock, in seconds."""

    puts: list[Acknowledged] = field(default_factory=list)
    writes: list[Acknowledged] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    started: float = 0
    ended: float = 0


async def try_steps(made: HandMade, steps: int, work: Work) -> None:
    """Take steps, whatever becomes of each."""
    for step in range(steps):
        try:
            await made.put(**values_of(step))
            place = made.config["configurable"]
            stored = Acknowledged(place["thread_id"], place["checkpoint_id"], step)
            work.puts.append(stored)
            await made.put_writes(**writes_of(step))
            work.writes.append(stored)
        except Exception as exc:
            work.errors[type(exc).__name__] += 1


async def one_process(name: str, url: str, number: int, tasks: int, steps: int, together: threading.Barrier) -> Work:
    """A process's work: it connects, waits for the others, and goes."""
    work = Work()
    async with CONNECT[name](url) as saver:
        # Connections, statement caches and imports.
        await asyncio.gather(*(try_steps(HandMade(saver, f"warm-{number}-{task}"), 1, Work()) for task in range(WARM_TASKS)))
        await asyncio.to_thread(together.wait, WAIT_SECONDS)
        work.started = time.time()
        await asyncio.gather(*(try_steps(HandMade(saver, f"process-{number}-{task}"), steps, work) for task in range(tasks)))
        work.ended = time.time()
    return work


class Lost(NamedTuple):
    """How many of the acknowledged ones are not there, or not as they were put."""

    checkpoints: int
    writes: int


async def count_lost(saver: AnySaver, works: Sequence[Work]) -> Lost:
    """Read every thread, and look for all that was acknowledged."""
    puts = {each for work in works for each in work.puts}
    writes = {each for work in works for each in work.writes}
    for thread_id in {each.thread_id for each in puts}:
        async for found in saver.alist(thread(thread_id)):
            values = found.checkpoint["channel_values"]
            stored = Acknowledged(thread_id, found.checkpoint["id"], values.get("count", -1))
            if values.get("messages") == values_of(stored.step)["messages"]:
                puts.discard(stored)
            if {channel: value for _, channel, value in found.pending_writes or ()} == writes_of(stored.step):
                writes.discard(stored)
    return Lost(len(puts), len(writes))


class Lap(NamedTuple):
    """What all processes did together."""

    steps_per_second: float
    errors: Counter[str]
    lost: Lost


def count_of(error: str, of: Lap) -> int:
    """How many steps failed by it."""
    return of.errors[error]


async def lap(contender: Contender, together: threading.Barrier, tasks: int, steps: int) -> Lap:
    """All processes on one fresh database, and a fresh saver after them."""
    async with contender.fresh_database() as url:
        async with contender.connect(url):
            pass  # the tables
        calls = [partial(one_process, contender.name, url, number, tasks, steps, together) for number in range(together.parties)]
        works = await in_fresh_processes(*calls)
        async with contender.connect(url) as saver:
            lost = await count_lost(saver, works)
    seconds = max(work.ended for work in works) - min(work.started for work in works)
    return Lap(sum(len(work.writes) for work in works) / seconds, sum((work.errors for work in works), Counter()), lost)


async def run(bench: Bench) -> list[Table]:
    """Measure everything that processes can share."""
    processes, tasks, steps = bench.size(PROCESSES, 2), bench.size(TASKS, 3), bench.size(40, 2)
    on_disk = bench.among([contender for contender in bench.contenders if contender.name != IN_MEMORY])
    with get_context("spawn").Manager() as manager:
        together = manager.Barrier(processes)
        laps = await on_disk.interleaved(partial(lap, together=together, tasks=tasks, steps=steps))
    table = on_disk.table(f"{processes} processes x {tasks} tasks x {steps} steps")

    def add(row: str, figure: Callable[[Lap], float], more_is_better: bool | None = None) -> None:
        table.add(row, {name: [figure(each) for each in each_lap] for name, each_lap in laps.items()}, more_is_better=more_is_better)

    add("all together, steps/s", lambda each: each.steps_per_second, more_is_better=True)
    add("steps that failed", lambda each: each.errors.total())
    for error in sorted({error for each_lap in laps.values() for each in each_lap for error in each.errors}):
        add(f"steps that failed by {error}", partial(count_of, error))
    add("acknowledged checkpoints lost", lambda each: each.lost.checkpoints)
    add("acknowledged writes lost", lambda each: each.lost.writes)
    return [table]
