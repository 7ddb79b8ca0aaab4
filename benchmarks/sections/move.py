"""Moving: small checkpoints copied per second, from a SQLite file into each database, from there into a file, and once more.

A thread has 20 checkpoints with five tags and two values each, and a task's write to each; every row is read back and compared.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.contenders import OURS, Contender
from benchmarks.report import Table
from benchmarks.workload import HandMade
from ckptstore import SQLAlchemySaver

THREADS = 500
STEPS = 20


async def fill(saver: SQLAlchemySaver, threads: int) -> None:
    """Threads of small checkpoints."""
    for start in range(0, threads, 50):
        await asyncio.gather(*[_thread(saver, number) for number in range(start, min(start + 50, threads))])


async def _thread(saver: SQLAlchemySaver, number: int) -> None:
    made = HandMade(saver, f"thread {number}", {"user_id": f"user {number % 100}", "kind": "chat", "run_id": f"run {number}"})
    for step in range(STEPS):
        await made.put(note=f"a text that is longer than thirty-two characters, {number} {step}", n=step)
        await made.put_writes(n=step + 1)


async def copied_per_second(source: SQLAlchemySaver, target: SQLAlchemySaver) -> float:
    """Checkpoints a second of a copy."""
    started = time.perf_counter()
    report = await source.acopy_to(target)
    assert report.ok
    return report.checkpoints / (time.perf_counter() - started)


async def lap(contender: Contender, file: Path) -> tuple[float, float, float]:
    """Into the contender's database, from there into a file, and the seconds of another run without news."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            contender,
            SQLAlchemySaver.from_conn_string(file) as source,
            SQLAlchemySaver.from_conn_string(Path(folder) / "back.sqlite") as back,
        ):
            assert isinstance(contender.saver, SQLAlchemySaver)
            await back.setup()
            there = await copied_per_second(source, contender.saver)
            back_again = await copied_per_second(contender.saver, back)
            started = time.perf_counter()
            await source.acopy_to(contender.saver)
            return there, back_again, (time.perf_counter() - started) * 1000


async def run(bench: Bench) -> list[Table]:
    """Measure ckptstore alone: the official savers have no such thing."""
    ours = bench.among([contender for contender in bench.contenders if contender.name in OURS])
    threads = bench.size(THREADS, 2, quick=100)
    table = ours.table(f"{threads * STEPS:,} checkpoints of {threads:,} threads copied")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "source.sqlite"
        async with SQLAlchemySaver.from_conn_string(file) as source:
            await fill(source, threads)
        if bench.size(1, 0, quick=1):
            # A thread that was written to within the last seconds is compared by its rows.
            await asyncio.sleep(6)
        laps = await ours.interleaved(partial(lap, file=file))
    names = ("from a SQLite file to here, checkpoints/s", "from here to a SQLite file, checkpoints/s", "once more, nothing has changed, ms")
    for number, name in enumerate(names):
        table.add(name, {contender: [each[number] for each in found] for contender, found in laps.items()})
    return [table]
