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
from typing import Any
from unittest import mock

from langgraph.checkpoint.base import empty_checkpoint

from ckptstore import SQLAlchemySaver
from ckptstore.db import sqlite
from ckptstore.writes import commit_sqlite, linger

LAPS = 7
Way = Callable[[], Any]


async def steps(tasks: int, number: int) -> float:
    """Steps (one put with five tags, one task's writes) a second, by so many tasks at once, on a new SQLite file."""
    with tempfile.TemporaryDirectory() as folder:
        async with SQLAlchemySaver.from_conn_string(str(Path(folder) / "checkpoints.sqlite")) as saver:

            async def work(task: int, count: int) -> None:
                where: Any = {"configurable": {"thread_id": f"thread-{task}", "checkpoint_ns": ""}}
                for step in range(count):
                    made, version = empty_checkpoint(), f"{step + 1:08}.abcdefgh"
                    made["channel_values"] = {"n": step, "messages": ["hello"] * 10}
                    made["channel_versions"] = {"n": version, "messages": version}
                    metadata: Any = {"source": "loop", "step": step, "parents": {}, "user": "ann", "kind": "chat", "test": True}
                    where = await saver.aput(where, made, metadata, {"n": version, "messages": version})
                    await saver.aput_writes(where, [("n", step)], "task")

            await asyncio.gather(*[work(task, 2) for task in range(tasks)])
            started = time.perf_counter()
            await asyncio.gather(*[work(task, number // tasks) for task in range(tasks)])
            return number / (time.perf_counter() - started)


def compare(title: str, tasks: int, number: int, chosen: Way, other: Way) -> None:
    """Run both ways in turn, and print what was seen."""
    seen: dict[str, list[float]] = {"chosen": [], "other": []}
    for lap in range(LAPS):
        order = [("chosen", chosen), ("other", other)]
        for name, way in order if lap % 2 else reversed(order):
            with way():
                seen[name].append(asyncio.run(steps(tasks, number)))
    best, rest = statistics.median(seen["chosen"]), statistics.median(seen["other"])
    print(f"{title}, {tasks} tasks: {best:,.0f} steps/s against {rest:,.0f} ({best / rest:.2f}x), medians of {LAPS}")


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


DECISIONS = {"import": importing, "cursor": cursor, "batch": batch, "linger": lingering}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(DECISIONS)}; all by default")
    for name in parser.parse_args().names or DECISIONS:
        DECISIONS[name]()
