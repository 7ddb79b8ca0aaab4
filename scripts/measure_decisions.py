"""Measure what the measured decisions of docs/decisions are worth: `python scripts/measure_decisions.py [NAME ...]`.

Each compares two ways of one program in alternating laps on SQLite files, and prints medians and their ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from langgraph.checkpoint.base import empty_checkpoint

from ckptstore import SQLAlchemySaver, TagKeys
from ckptstore.db import sqlite
from ckptstore.langgraph import saver as saver_module
from ckptstore.writes import commit_sqlite, linger

LAPS = 7
Way = Callable[[], Any]


class Speed(NamedTuple):
    """Steps a second, and milliseconds of the process's CPU for each."""

    per_second: float
    cpu: float


def _put(step: int) -> Any:
    """The arguments of a put but the first."""
    made, version = empty_checkpoint(), f"{step + 1:08}.abcdefgh"
    made["channel_values"] = {"n": step, "messages": ["hello"] * 10}
    made["channel_versions"] = {"n": version, "messages": version}
    metadata: Any = {"source": "loop", "step": step, "parents": {}, "user": "ann", "kind": "chat", "test": True}
    return made, metadata, {"n": version, "messages": version}


def _at(task: int) -> Any:
    return {"configurable": {"thread_id": f"thread-{task}", "checkpoint_ns": ""}}


async def steps(tasks: int, number: int) -> Speed:
    """Steps (one put with five tags, one task's writes), by so many tasks at once, on a new SQLite file."""
    with tempfile.TemporaryDirectory() as folder:
        async with SQLAlchemySaver.from_conn_string(str(Path(folder) / "checkpoints.sqlite")) as saver:

            async def work(task: int, count: int) -> None:
                where = _at(task)
                for step in range(count):
                    where = await saver.aput(where, *_put(step))
                    await saver.aput_writes(where, [("n", step)], "task")

            await asyncio.gather(*[work(task, 2) for task in range(tasks)])
            started, cpu = time.perf_counter(), time.process_time()
            await asyncio.gather(*[work(task, number // tasks) for task in range(tasks)])
            return Speed(number / (time.perf_counter() - started), (time.process_time() - cpu) / number * 1e3)


def steps_now(number: int) -> Speed:
    """The same steps by one synchronous caller."""
    with tempfile.TemporaryDirectory() as folder, SQLAlchemySaver.from_conn_string(str(Path(folder) / "checkpoints.sqlite")) as saver:

        def work(task: int, count: int) -> None:
            where = _at(task)
            for step in range(count):
                where = saver.put(where, *_put(step))
                saver.put_writes(where, [("n", step)], "task")

        work(0, 2)
        started, cpu = time.perf_counter(), time.process_time()
        work(1, number)
        return Speed(number / (time.perf_counter() - started), (time.process_time() - cpu) / number * 1e3)


def compare(title: str, tasks: int, number: int, chosen: Way, other: Way) -> None:
    """Run both ways in turn, and print what was seen; without tasks, by a synchronous caller."""
    seen: dict[str, list[Speed]] = {"chosen": [], "other": []}
    for lap in range(LAPS):
        order = [("chosen", chosen), ("other", other)]
        for name, way in order if lap % 2 else reversed(order):
            with way():
                seen[name].append(asyncio.run(steps(tasks, number)) if tasks else steps_now(number))
    (best, cpu), (rest, rest_cpu) = [map(statistics.median, zip(*laps, strict=True)) for laps in seen.values()]
    by = f"{tasks} tasks" if tasks else "one synchronous caller"
    print(f"{title}, {by}: {best:,.0f} steps/s against {rest:,.0f} ({best / rest:.2f}x), medians of {LAPS}")
    print(f"    CPU of a step {cpu:.2f} ms against {rest_cpu:.2f} ({cpu / rest_cpu:.2f}x)")


def cursor() -> None:
    """Statements at the driver's cursor, against statements through SQLAlchemy's execution."""
    for tasks, number in ((1, 300), (50, 2_000)):
        compare("driver's cursor", tasks, number, nullcontext, lambda: mock.patch.object(sqlite, "is_observed", return_value=True))


def batch() -> None:
    """A batch as one statement, against a transaction with statements table by table."""
    for tasks, number in ((1, 300), (50, 2_000)):
        compare("one statement a batch", tasks, number, nullcontext, lambda: mock.patch.object(commit_sqlite, "_MAX_ROWS", 0))


@contextmanager
def no_linger() -> Iterator[None]:
    with mock.patch.object(linger, "_LINGER_RATIO", 0.0), mock.patch.object(linger, "_MIN_ALTERNATING_THREADS", 10**9):
        yield


def lingering() -> None:
    """A batch that lingers for those whose writes the last one stored, and two alternating groups, against a batch that never waits."""
    for tasks, number in ((1, 300), (10, 1_000), (50, 2_000)):
        compare("lingering", tasks, number, nullcontext, no_linger)


_IMPORT = """
import langgraph.graph, langgraph.checkpoint.base, gc, time
if {otherwise}: gc.disable = lambda: None
started = time.process_time()
import ckptstore
print(time.process_time() - started)
"""


def importing() -> None:
    """The import without collections of garbage, against one with them: milliseconds of CPU in fresh processes."""
    seen: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(LAPS):
        for otherwise, times in seen.items():
            program = _IMPORT.format(otherwise=otherwise)
            done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
            times.append(float(done.stdout) * 1e3)
    best, rest = statistics.median(seen[False]), statistics.median(seen[True])
    print(f"import: {best:.0f} ms of CPU against {rest:.0f} ({rest / best:.2f}x), medians of {LAPS}")


def tags() -> None:
    """Tags stored with their put, against none at all: what storing them later, many at a time, could save at most."""
    nothing = TagKeys(include=())
    for tasks, number in ((0, 300), (1, 300), (50, 2_000)):
        compare("tags", tasks, number, nullcontext, lambda: mock.patch.object(saver_module, "EVERYTHING", nothing))


DECISIONS = {"import": importing, "cursor": cursor, "batch": batch, "linger": lingering, "tags": tags}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(DECISIONS)}; all by default")
    for name in parser.parse_args().names or DECISIONS:
        DECISIONS[name]()
