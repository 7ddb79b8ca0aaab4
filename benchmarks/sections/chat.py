"""A chat: 5 threads at once, 100 turns each, through a real graph; every version kept.

A turn is 30 words of a person's and 120 of the graph's (`MessagesState`). Reports turns a second, and what a thread takes on disk as a
multiple of its final state: 1 would be the state alone, without its history.
"""

from __future__ import annotations

import asyncio
import time

from benchmarks.bench import Bench
from benchmarks.contenders import Contender
from benchmarks.report import Table, align
from benchmarks.workload import chat, final_bytes

THREADS = 5


class Lap:
    """One contender's chats on a fresh database."""

    turns_per_second: float
    final_bytes: float
    #: Per thread; None for what is in memory.
    stored_bytes: float | None
    parts: dict[str, int]


async def measure(contender: Contender, turns: int) -> Lap:
    """One lap."""
    lap = Lap()
    async with contender:
        await chat(contender.saver, "warm-up", 1)
        before = await contender.stored_bytes()
        names = [f"chat-{number}" for number in range(THREADS)]
        started = time.perf_counter()
        await asyncio.gather(*(chat(contender.saver, name, turns) for name in names))
        lap.turns_per_second = THREADS * turns / (time.perf_counter() - started)
        lap.final_bytes = sum([await final_bytes(contender.saver, name) for name in names]) / THREADS
        after = await contender.stored_bytes()
        lap.stored_bytes = None if after is None or before is None else (after - before) / THREADS
        lap.parts = await contender.database.parts() if contender.database else {}
        if contender.database and (blobs := contender.database.blobs()):
            lap.parts["(blobs)"] = sum(blobs)
    return lap


async def run(bench: Bench) -> list[Table]:
    """Measure speed and size in the same laps."""
    turns = bench.size(100, 3, quick=50)
    laps = await bench.interleaved(lambda contender: measure(contender, turns))
    table = bench.table(f"chat of {turns} turns, {THREADS} threads")
    table.add("turns/s", {name: [lap.turns_per_second for lap in each] for name, each in laps.items()}, more_is_better=True)
    table.add("bytes of the final state", {name: [lap.final_bytes for lap in each] for name, each in laps.items()}, more_is_better=None)
    table.add("bytes stored per thread", {name: [lap.stored_bytes for lap in each] for name, each in laps.items()})
    times = {name: [lap.stored_bytes and lap.stored_bytes / lap.final_bytes for lap in each] for name, each in laps.items()}
    table.add("bytes stored / final state", times)
    return [table, *(breakdown(name, each[-1].parts) for name, each in laps.items() if bench.verbose and each[-1].parts)]


def breakdown(name: str, parts: dict[str, int]) -> Table:
    """Where the bytes of a contender are, largest first."""
    table = Table(f"{name}: bytes of each table and index, {THREADS} threads", [])
    largest_first = sorted(parts.items(), key=lambda part: -part[1])
    for line in align([[part, f"{size:,}"] for part, size in largest_first]):
        table.note(line)
    return table
