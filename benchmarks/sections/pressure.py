"""Under pressure: memory over many puts, small puts beside large ones and beside a backend that hangs, and the memory of 8 MB.

Every case has a process of its own for each contender, so that its memory is its own.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from benchmarks.bench import Bench
from benchmarks.contenders import ASYNC_SQLITE, CKPTSTORE_SQLITE, CONNECT, OURS, AnySaver, Contender
from benchmarks.fresh import in_fresh_processes
from benchmarks.memory import peak_rss, restart_peak, rss
from benchmarks.report import Table
from benchmarks.sections.latency import Times, percentile, timed_step
from benchmarks.sections.steps import values_of
from benchmarks.workload import HandMade, sentence, thread
from ckptstore import SQLAlchemySaver

TASKS = 20
TENTHS = (1, 5, 10)
#: The official saver takes long, and half as many show how it goes.
PUTS = {CKPTSTORE_SQLITE: 100_000, ASYNC_SQLITE: 50_000}
WRITERS = 100
LARGE_BYTES = 5_000_000
HANGS_SECONDS = 0.3
TURNS = 2
STATE_BYTES = 8_000_000
TEXT_BYTES = 1_000

#: What labels of counts begin with.
COUNTS = ("puts", "large")

#: A row's figure, by its label.
Figures = dict[str, float | None]


async def alone(contender: Contender, measure: Callable[[str, str], Awaitable[Figures]]) -> Figures:
    """Await a function of a contender's name and the URL of a fresh database, in a fresh process."""
    async with contender.fresh_database() as url:
        (figures,) = await in_fresh_processes(partial(measure, contender.name, url))
    return figures


async def tabulate(bench: Bench, table: Table, measure: Callable[[Contender], Awaitable[Figures]]) -> Table:
    """A row for each figure: less is better, but for counts."""
    laps = await bench.interleaved(measure)
    for label in dict.fromkeys(label for each in laps.values() for figures in each for label in figures):
        more_is_better = None if label.startswith(COUNTS) else False
        table.add(label, {name: [figures.get(label) for figures in each] for name, each in laps.items()}, more_is_better=more_is_better)
    return table


# --- many puts


async def many_puts(name: str, url: str, puts: int) -> Figures:
    """What is resident after each tenth of many puts, shared by some tasks."""
    resident: list[float] = []
    done = 0

    async def go_on(made: HandMade) -> None:
        nonlocal done
        for step in range(puts // TASKS):
            await made.put(**values_of(step))
            done += 1
            if done % (puts // 10) == 0:
                resident.append(rss() / 1e6)

    async with CONNECT[name](url) as saver:
        await asyncio.gather(*(go_on(HandMade(saver, f"many-{task}")) for task in range(TASKS)))
    after: Figures = {f"RSS after tenth {tenth}, MB": resident[tenth - 1] for tenth in TENTHS}
    return {"puts": puts, **after, "tenth 10 / tenth 1": resident[-1] / resident[0], "peak RSS, MB": peak_rss() / 1e6}


async def flat(bench: Bench) -> Table:
    """Whether memory stays as it is."""

    async def lap(contender: Contender) -> Figures:
        return await alone(contender, partial(many_puts, puts=bench.size(PUTS[contender.name], 200)))

    return await tabulate(bench, bench.table(f"many small puts by {TASKS} tasks"), lap)


# --- beside something slow


class Writers:
    """Tasks that take small steps without a pause until told to end, and how long each put took."""

    def __init__(self, saver: AnySaver, tasks: int) -> None:
        self._running = True
        self._times = Times()
        self._tasks = [asyncio.create_task(self._write(HandMade(saver, f"small-{task}"))) for task in range(tasks)]

    async def _write(self, made: HandMade) -> None:
        while self._running:
            await timed_step(made, made.step + 1, self._times)

    async def watch(self, seconds: float) -> list[float]:
        """Milliseconds of the puts that ended in the meantime."""
        self._times.puts.clear()
        await asyncio.sleep(seconds)
        return list(self._times.puts)

    async def end(self) -> None:
        """Let each finish its step; one that failed raises."""
        self._running = False
        await asyncio.gather(*self._tasks)


class LargePuts:
    """A task that puts a value that was never seen before, again and again."""

    def __init__(self, saver: AnySaver, thread_id: str, size: int) -> None:
        self._made = HandMade(saver, thread_id)
        self._size = size
        self._running = True
        self.done = 0
        self._task = asyncio.create_task(self._write())

    async def _write(self) -> None:
        while self._running:
            await self._made.put(value=await asyncio.to_thread(os.urandom, self._size))
            self.done += 1

    async def end(self) -> None:
        """Let it finish its put."""
        self._running = False
        await self._task


async def beside_large_puts(saver: AnySaver, tasks: int, size: int, seconds: float) -> Figures:
    """Small puts without and with large ones, in turn: a database that grows, or a slow moment, falls to both."""
    writers = Writers(saver, tasks)
    await writers.watch(seconds / 5)
    without: list[float] = []
    beside: list[float] = []
    through = 0
    for turn in range(TURNS):
        without += await writers.watch(seconds)
        large = LargePuts(saver, f"large-{turn}", size)
        beside += await writers.watch(seconds)
        through += large.done
        await large.end()
    await writers.end()
    return {
        "p50 without, ms": percentile(without, 50),
        "p50 beside, ms": percentile(beside, 50),
        "p99 without, ms": percentile(without, 99),
        "p99 beside, ms": percentile(beside, 99),
        "large puts that got through": through,
    }


async def fair_to_small_puts(name: str, url: str, tasks: int, size: int, seconds: float) -> Figures:
    """Everything as it is by default."""
    async with CONNECT[name](url) as saver:
        return await beside_large_puts(saver, tasks, size, seconds)


async def fairness(bench: Bench) -> Table:
    """Small puts beside 5 MB after 5 MB."""
    tasks, size, seconds = bench.size(WRITERS, 5), bench.size(LARGE_BYTES, 200_000), bench.size(5_000, 200) / 1e3
    measure = partial(fair_to_small_puts, tasks=tasks, size=size, seconds=seconds)
    return await tabulate(bench, bench.table(f"puts of {tasks} tasks beside one of {size:,} bytes"), partial(alone, measure=measure))


class HangingFiles(LocalFileSystem):  # type: ignore[misc]
    """A folder that stands for a remote store: everything that goes into it takes its time."""

    protocol = "hanging"

    def pipe_file(self, path: str, value: bytes, **more: Any) -> None:
        time.sleep(HANGS_SECONDS)
        super().pipe_file(path, value, **more)


async def past_a_hanging_upload(_name: str, url: str, tasks: int, size: int, seconds: float) -> Figures:
    """Ours, with blobs in a backend that hangs."""
    fsspec.register_implementation("hanging", HangingFiles)
    with tempfile.TemporaryDirectory(prefix="ckptstore_bench_") as folder:
        async with SQLAlchemySaver.from_conn_string(url, blob_url=f"hanging://{folder}") as saver:
            await saver.setup()
            return await beside_large_puts(saver, tasks, size, seconds)


async def head_of_line(bench: Bench) -> Table:
    """Whether a small put waits for somebody else's upload."""
    tasks, size, seconds = bench.size(WRITERS, 5), bench.size(200_000, 100_000), bench.size(5_000, 500) / 1e3
    measure = partial(past_a_hanging_upload, tasks=tasks, size=size, seconds=seconds)
    table = bench.table(f"puts of {tasks} tasks beside uploads that hang for {HANGS_SECONDS * 1e3:.0f} ms")
    return await tabulate(bench, table, partial(alone, measure=measure))


# --- a large state


def texts(size: int) -> list[str]:
    """So many bytes of texts, no two of them alike."""
    return [sentence(f"text {number}", TEXT_BYTES // 5)[:TEXT_BYTES] for number in range(size // TEXT_BYTES)]


async def growth(work: Callable[[], Awaitable[object]]) -> int:
    """Bytes by which the peak rose above what was resident before."""
    restart_peak()
    before = rss()
    await work()
    return peak_rss() - before


async def put_state(name: str, url: str, size: int) -> Figures:
    """A put of a large state; the state itself was there before."""
    async with CONNECT[name](url) as saver:
        await HandMade(saver, "warm").put(count=1)
        state, made = texts(size), HandMade(saver, "large")
        return {"of the put": await growth(lambda: made.put(state=state)) / size}


async def read_state(name: str, url: str) -> Figures:
    """Reading it back in a process that never saw it, the state itself included."""
    async with CONNECT[name](url) as saver:
        await saver.aget_tuple(thread("warm"))
        read: list[Any] = []

        async def get() -> None:
            read.append(await saver.aget_tuple(thread("large")))

        grown = await growth(get)
        return {"of reading it back": grown / sum(map(len, read[0].checkpoint["channel_values"]["state"]))}


async def large_state(bench: Bench) -> Table:
    """Peaks of memory, as multiples of the state's size."""
    size = bench.size(STATE_BYTES, 200_000)

    async def lap(contender: Contender) -> Figures:
        async with contender.fresh_database() as url:
            (put,) = await in_fresh_processes(partial(put_state, contender.name, url, size))
            # What is in memory is gone with its process.
            (read,) = await in_fresh_processes(partial(read_state, contender.name, url)) if url else ({},)
        return put | read

    return await tabulate(bench, bench.table(f"peak RSS / size, {size // TEXT_BYTES:,} texts of {TEXT_BYTES:,} bytes"), lap)


async def run(bench: Bench) -> list[Table]:
    """Measure what can go wrong in production."""
    on_sqlite = bench.among([contender for contender in bench.contenders if contender.name in PUTS])
    ours = bench.among([contender for contender in bench.contenders if contender.name in OURS])
    return [await flat(on_sqlite), await fairness(on_sqlite), await head_of_line(ours), await large_state(bench)]
