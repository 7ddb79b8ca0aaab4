"""Reads of a chat of 100 turns (200 messages): its newest checkpoint, and a listing of 100 checkpoints."""

from __future__ import annotations

import statistics
import time

from benchmarks.bench import Bench
from benchmarks.contenders import Contender
from benchmarks.report import Table
from benchmarks.workload import chat, thread

CHAT = thread("read")
LISTED = 100


async def newest(contender: Contender, reads: int) -> float:
    """Milliseconds of an `aget_tuple`: the median of one lap's."""
    times = []
    for _ in range(reads):
        started = time.perf_counter()
        assert await contender.saver.aget_tuple(CHAT)
        times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times)


async def listing(contender: Contender, limit: int) -> float:
    """Milliseconds until the last checkpoint of a listing."""
    started = time.perf_counter()
    found = [each async for each in contender.saver.alist(CHAT, limit=limit)]
    milliseconds = (time.perf_counter() - started) * 1e3
    assert len(found) == limit, f"{contender.name} listed {len(found)} of {limit}"
    return milliseconds


async def run(bench: Bench) -> list[Table]:
    """Every contender holds the chat first; then they read in turn."""
    turns, reads, listed = bench.size(100, 3, quick=50), bench.size(20, 2, quick=10), bench.size(LISTED, 5, quick=LISTED)
    table = bench.table(f"thread of {2 * turns} messages, ms")
    async with bench.all_open():
        for contender in bench.contenders:
            await chat(contender.saver, "read", turns)
            await newest(contender, 2)
        table.add("aget_tuple", await bench.interleaved(lambda contender: newest(contender, reads)))
        table.add(f"alist of {listed} checkpoints", await bench.interleaved(lambda contender: listing(contender, listed)))
    return [table]
