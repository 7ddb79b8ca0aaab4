"""Synchronous callers, 1 and 10 worker threads at once: puts made by hand, and a chat graph (`graph.invoke`), wall time and CPU.

A step is one `put` of ten messages (3 KB) and five tags, and one `put_writes`. A turn of the chat is as in `chat`. CPU is that of the whole
process: a saver's own worker threads count.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from benchmarks.bench import Bench
from benchmarks.contenders import CKPTSTORE_SQLITE, IN_MEMORY, AnySaver, Contender, sqlite_saver
from benchmarks.report import Table
from benchmarks.workload import HandMade, chat_in_thread, sentence

WORKERS = (1, 10)
TAGS = {"user": "ann", "session": "s1", "kind": "chat", "score": 0.5, "test": True}
MESSAGES = [{"role": "user", "content": sentence(f"message {number}", 40)} for number in range(9)]


class Lap(NamedTuple):
    """What one contender did in one lap."""

    per_second: float
    cpu_milliseconds: float


def take_steps(saver: AnySaver, thread_id: str, steps: int) -> None:
    """Steps of one thread, one after the other."""
    thread = HandMade(saver, thread_id, TAGS)
    for step in range(steps):
        newest: dict[str, Any] = {"role": "user", "content": sentence(f"step {step}", 40)}
        thread.put_now(messages=[*MESSAGES, newest], count=step)
        thread.put_writes_now(messages=[newest], count=step + 1)


async def lap(contender: Contender, do: Callable[[AnySaver, str, int], None], workers: int, count: int) -> Lap:
    """One lap, on new threads: `do` is called with a thread and how many steps or turns it takes."""
    name, each = f"{do.__name__}-{time.monotonic_ns()}", count // workers
    with ThreadPoolExecutor(workers) as pool:
        started, cpu = time.perf_counter(), time.process_time()
        for done in [pool.submit(do, contender.saver, f"{name}-{worker}", each) for worker in range(workers)]:
            done.result()
        wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    return Lap(workers * each / wall, cpu / (workers * each) * 1e3)


async def run(bench: Bench) -> list[Table]:
    """Beside SqliteSaver, which one connection serves under one lock; what is in memory shows what LangGraph itself takes."""
    among = [contender for contender in bench.contenders if contender.name in (IN_MEMORY, CKPTSTORE_SQLITE)]
    bench = bench.among([*sqlite_saver(), *among])
    tables = []
    async with bench.all_open():
        for do, what, count in ((take_steps, "steps", bench.size(1_000, 20, quick=300)), (chat_in_thread, "turns", bench.size(100, 10))):
            table = bench.table(f"synchronous {what}")
            for workers in WORKERS:
                await bench.interleaved(partial(lap, do=do, workers=workers, count=workers))
                laps = await bench.interleaved(partial(lap, do=do, workers=workers, count=count))
                at_once = f"{workers} thread{'s' if workers > 1 else ''}"
                speed = {name: [each.per_second for each in found] for name, found in laps.items()}
                table.add(f"{at_once}, {what}/s", speed, more_is_better=True)
                table.add(f"{at_once}, CPU of one, ms", {name: [each.cpu_milliseconds for each in found] for name, found in laps.items()})
            tables.append(table)
    return tables
