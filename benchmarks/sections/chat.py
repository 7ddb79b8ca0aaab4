"""A chat: 5 threads at once, 100 turns each, through a real graph; every version kept.

A turn is 30 words of a person's and 120 of the graph's (`MessagesState`). Reports turns a second, and what a thread takes on disk as a
multiple of its final state: 1 would be the state alone, without its history. Then how the bytes of one thread alone grow.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from benchmarks.bench import Bench
from benchmarks.charts import draw_lines
from benchmarks.contenders import IN_MEMORY, Contender
from benchmarks.report import Table, align
from benchmarks.workload import chat, final_bytes

THREADS = 5
#: Where the growth of a thread is measured, in parts of all its turns.
GROWTH = (0.1, 0.25, 0.5, 0.75, 1)
FINAL_STATE = "final state"


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


async def grow(contender: Contender, turns: Sequence[int]) -> dict[int, tuple[float, float]]:
    """Bytes stored for one thread, and bytes of its state, after so many turns."""
    sizes: dict[int, tuple[float, float]] = {}
    done = 0
    async with contender:
        # The first rows of a table and its indexes take whole pages.
        await chat(contender.saver, "warm-up", 1)
        empty = await contender.stored_bytes() or 0
        for count in turns:
            await chat(contender.saver, "growing", count - done, after=done)
            done = count
            sizes[count] = ((await contender.stored_bytes() or 0) - empty, await final_bytes(contender.saver, "growing"))
    return sizes


async def growth(bench: Bench, turns: int) -> Table:
    """One thread for each contender, away from the laps: counting bytes takes its time."""
    on_disk = [contender for contender in bench.contenders if contender.name != IN_MEMORY]
    counts = sorted({max(1, round(turns * part)) for part in GROWTH})
    sizes = {contender.name: await grow(contender, counts) for contender in on_disk}
    lines = {name: [(count, stored) for count, (stored, _) in each.items()] for name, each in sizes.items()}
    # The state is the same in all of them.
    lines[FINAL_STATE] = [(count, state) for count, (_, state) in sizes[on_disk[0].name].items()]
    table = Table("bytes stored of one thread", list(lines), bench.verbose)
    for place, count in enumerate(counts):
        table.add(f"after {count} turns", {name: [points[place][1]] for name, points in lines.items()})
    if bench.results:
        megabytes = {name: [(count, size / 1e6) for count, size in points] for name, points in lines.items()}
        draw_lines(bench.results / "chat.png", "A chat, every version kept", ("turns", "MB of one thread"), megabytes, logarithmic="xy")
    return table


async def run(bench: Bench) -> list[Table]:
    """Measure speed and size in the same laps."""
    turns = bench.size(100, 3, quick=40)
    laps = await bench.interleaved(lambda contender: measure(contender, turns))
    table = bench.table(f"chat of {turns} turns, {THREADS} threads")
    table.add("turns/s", {name: [lap.turns_per_second for lap in each] for name, each in laps.items()}, more_is_better=True)
    table.add("bytes of the final state", {name: [lap.final_bytes for lap in each] for name, each in laps.items()}, more_is_better=None)
    table.add("bytes stored per thread", {name: [lap.stored_bytes for lap in each] for name, each in laps.items()})
    times = {name: [lap.stored_bytes and lap.stored_bytes / lap.final_bytes for lap in each] for name, each in laps.items()}
    table.add("bytes stored / final state", times)
    grown = await growth(bench, turns)
    return [table, grown, *(breakdown(name, each[-1].parts) for name, each in laps.items() if bench.verbose and each[-1].parts)]


def breakdown(name: str, parts: dict[str, int]) -> Table:
    """Where the bytes of a contender are, largest first."""
    table = Table(f"{name}: bytes of each table and index, {THREADS} threads", [])
    largest_first = sorted(parts.items(), key=lambda part: -part[1])
    for line in align([[part, f"{size:,}"] for part, size in largest_first]):
        table.note(line)
    return table
