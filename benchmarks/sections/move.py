"""Moving: small checkpoints copied per second, from a SQLite file into each database and back, and the pause of a live move.

A thread has 20 checkpoints with five tags and two values each, and a task's write to each; every row is read back and compared.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.contenders import OURS, Contender
from benchmarks.report import Table
from benchmarks.workload import HandMade
from ckptstore import SQLAlchemySaver
from ckptstore.errors import StoreMoved
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.runtime.steps import drive_async
from ckptstore.transfer.moving import Move, unseal
from ckptstore.transfer.options import TransferCallbacks

THREADS = 1_000
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


async def write_until_moved(saver: SQLAlchemySaver, name: str) -> None:
    """One of the agents that write while their threads move."""
    made = HandMade(saver, name)
    with suppress(StoreMoved):
        for step in count():
            await made.put(n=step, note=f"a text that is longer than thirty-two characters, {step}")


async def pause_of_move(source: SQLAlchemySaver, target: SQLAlchemySaver) -> float:
    """Milliseconds for which ten agents can't write, at a move of what was copied before and what they write meanwhile."""
    agents = [asyncio.ensure_future(write_until_moved(source, f"agent {secrets.token_hex(4)}")) for _ in range(10)]
    move = Move(source.store, target.store, None, "digests", LANGGRAPH, source._now, TransferCallbacks())
    report = await drive_async(move.run())
    await asyncio.gather(*agents)
    await drive_async(unseal(source.store))
    assert report.done
    return report.sealed_seconds * 1000


async def lap(contender: Contender, file: Path) -> tuple[float, float, float, float]:
    """Into the contender's database, from there into a file, the milliseconds of another run without news, and of a move's pause."""
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
            again = (time.perf_counter() - started) * 1000
            return there, back_again, again, await pause_of_move(source, contender.saver)


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
    names = (
        "from a SQLite file to here, checkpoints/s",
        "from here to a SQLite file, checkpoints/s",
        "once more, nothing has changed, ms",
        "a live move with 10 agents: they wait, ms",
    )
    for number, name in enumerate(names):
        table.add(name, {contender: [each[number] for each in found] for contender, found in laps.items()})
    return [table]
