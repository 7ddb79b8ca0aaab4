"""Bounded: 90 days with a daily prune, pruning beside writers, and what a refusal costs.

The 90 days pass on an injected clock. Every day as much is written as on the day before, some of it in threads that go on from day to
day; then what is older than 30 days is pruned, one pass of the collector runs, and free pages are given back.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from benchmarks.bench import Bench
from benchmarks.charts import draw_lines
from benchmarks.contenders import OURS, AnySaver, Connect, Contender
from benchmarks.corpus import Corpus
from benchmarks.filling import fill
from benchmarks.report import Table
from benchmarks.workload import HandMade, sentence
from ckptstore import PruneReport, RetentionPolicy, SQLAlchemySaver
from ckptstore.errors import CheckpointTooLarge

KEPT_DAYS = 30
DAYS = 90
THREADS_A_DAY = 10
STEPS_A_DAY = 20
UPLOAD_BYTES = 200_000
STEP_BYTES = 8_000
WRITERS = 10
REFUSED_BYTES = 15_000_000


def ours_only(bench: Bench) -> Bench:
    """What no official saver has."""
    return bench.among([contender for contender in bench.contenders if contender.name in OURS])


# --- 90 days


@dataclass
class Clock:
    """Passes when told."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def opened_at(clock: Clock, blobs: str) -> Connect:
    """Opens ckptstore with a clock; uploads go to files, on both databases."""

    @asynccontextmanager
    async def connect(url: str) -> AsyncIterator[AnySaver]:
        async with SQLAlchemySaver.from_conn_string(url, clock=clock, blob_url=blobs) as saver:
            await saver.setup()
            yield saver

    return connect


async def write_a_day(saver: SQLAlchemySaver, day: int, goes_on: list[HandMade], bench: Bench) -> None:
    """A day of threads, each with an upload and steps that change something; a few of yesterday's go on with theirs."""
    begun = [HandMade(saver, f"day-{day}-{number}") for number in range(bench.size(THREADS_A_DAY, 2))]
    for made in begun:
        await made.put(upload=os.urandom(UPLOAD_BYTES))
    for step in range(bench.size(STEPS_A_DAY, 2, quick=3)):
        for made in [*begun, *goes_on]:
            await made.put(answer=os.urandom(STEP_BYTES // 2).hex())
            await made.put_writes(answer=f"{day} {step}")
    goes_on[:] = begun[:2]


async def bounded(contender: Contender, bench: Bench) -> tuple[list[tuple[float, float]], PruneReport]:
    """The size in MB at the end of each day, and what went in all."""
    clock = Clock()
    folder = Folder()
    sizes: list[tuple[float, float]] = []
    total = PruneReport()
    goes_on: list[HandMade] = []
    async with folder, contender.opened_with(contender.name, opened_at(clock, folder.path)) as opened:
        saver, database = opened.saver, opened.database
        assert isinstance(saver, SQLAlchemySaver)
        assert database
        policy = RetentionPolicy(max_age=timedelta(days=KEPT_DAYS))
        for day in range(1, DAYS + 1):
            await write_a_day(saver, day, goes_on, bench)
            clock.now += timedelta(days=1)
            report = await saver.aprune_by(policy)
            await saver.acollect()
            await saver.avacuum()
            total = PruneReport(checkpoints=total.checkpoints + report.checkpoints, bytes=total.bytes + report.bytes)
            sizes.append((day, (await database.size() + folder.size()) / 1e6))
    return sizes, total


class Folder:
    """A folder of blobs, away from any database."""

    def __init__(self) -> None:
        self._made = tempfile.TemporaryDirectory(prefix="ckptstore_bench_")
        self.path = self._made.name

    def size(self) -> int:
        """Bytes of its files."""
        return sum(os.path.getsize(os.path.join(place, name)) for place, _, names in os.walk(self.path) for name in names)

    async def __aenter__(self) -> None:
        """Use it."""

    async def __aexit__(self, *_: object) -> None:
        """Remove it."""
        self._made.cleanup()


async def days(bench: Bench) -> Table:
    """The curve, and how flat it is."""
    table = bench.table(f"{DAYS} days, pruned daily at {KEPT_DAYS} days")
    curves = {contender.name: await bounded(contender, bench) for contender in bench.contenders}
    for day in (10, 20, KEPT_DAYS, 60, DAYS):
        table.add(f"MB at day {day}", {name: [sizes[day - 1][1]] for name, (sizes, _) in curves.items()}, more_is_better=None)
    ratios = {name: [sizes[-1][1] / sizes[KEPT_DAYS - 1][1]] for name, (sizes, _) in curves.items()}
    table.add(f"day {DAYS} / day {KEPT_DAYS}", ratios, more_is_better=None)
    table.add("checkpoints pruned", {name: [total.checkpoints] for name, (_, total) in curves.items()}, more_is_better=None)
    if bench.results:
        title, axes = f"{DAYS} days of writes, pruned daily at {KEPT_DAYS} days", ("day", "database and blobs, MB")
        draw_lines(bench.results / "bounded.png", title, axes, {name: sizes for name, (sizes, _) in curves.items()})
    return table


# --- beside writers


class Writers:
    """Tasks that put without a pause, and how long each put took."""

    def __init__(self, saver: SQLAlchemySaver) -> None:
        self._saver = saver
        self._running = True
        self.milliseconds: list[float] = []
        self._tasks = [asyncio.create_task(self._write(number)) for number in range(WRITERS)]

    async def _write(self, number: int) -> None:
        made = HandMade(self._saver, f"writer-{number}-{time.monotonic_ns()}")
        while self._running:
            started = time.perf_counter()
            await made.put(answer=sentence(f"{number} {made.step}", 20))
            self.milliseconds.append((time.perf_counter() - started) * 1e3)

    async def while_doing(self, work: Awaitable[Any]) -> list[float]:
        """The puts that ended while something was done; a put that failed raises."""
        before = len(self.milliseconds)
        await work
        return self.milliseconds[before:]

    async def end(self) -> None:
        """Let each finish its put."""
        self._running = False
        await asyncio.gather(*self._tasks)


def p99(milliseconds: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(milliseconds, n=100)[98]


async def beside_writers(bench: Bench) -> Table:
    """Half of a table pruned while tasks write, against the same tasks alone."""
    size = bench.size(20_000, 300, quick=4_000, full=200_000)
    table = bench.table(f"pruning {size // 2:,} of {size:,} checkpoints while {WRITERS} tasks write")
    rows: dict[str, dict[str, list[float | None]]] = {}

    async def lap(contender: Contender) -> None:
        corpus = Corpus(size)
        async with contender:
            await fill(contender, corpus)
            saver = contender.saver
            assert isinstance(saver, SQLAlchemySaver)
            writers = Writers(saver)
            await writers.while_doing(asyncio.sleep(bench.size(1, 0)))
            alone = await writers.while_doing(asyncio.sleep(bench.size(5_000, 200, quick=2_000) / 1e3))
            half = datetime.now(UTC) - datetime.fromtimestamp((corpus.started_at + size // 2 * 1_000_000) / 1e6, UTC)
            started = time.perf_counter()
            reports: list[PruneReport] = []

            async def prune() -> None:
                reports.append(await saver.aprune_older_than(half))

            beside = await writers.while_doing(prune())
            seconds = time.perf_counter() - started
            await writers.end()
        for row, value in {
            "checkpoints pruned": reports[0].checkpoints,
            "pruned/s": reports[0].checkpoints / seconds,
            "put p99 alone, ms": p99(alone),
            "put p99 beside, ms": p99(beside),
            "beside / alone": p99(beside) / p99(alone),
            "put median beside, ms": statistics.median(beside),
        }.items():
            rows.setdefault(row, {}).setdefault(contender.name, []).append(value)

    await bench.interleaved(lap)
    for row, laps in rows.items():
        table.add(row, laps, more_is_better=None)
    return table


async def alone(bench: Bench) -> Table:
    """The same without anybody who writes."""
    size = bench.size(20_000, 300, quick=2_000)
    table = bench.table(f"pruning {size // 2:,} of {size:,} checkpoints, nobody writes")

    async def lap(contender: Contender) -> float:
        corpus = Corpus(size)
        async with contender:
            await fill(contender, corpus)
            assert isinstance(contender.saver, SQLAlchemySaver)
            half = datetime.now(UTC) - datetime.fromtimestamp((corpus.started_at + size // 2 * 1_000_000) / 1e6, UTC)
            report = await contender.saver.aprune_older_than(half)
        return report.checkpoints / report.seconds

    table.add("pruned/s", await bench.interleaved(lap), more_is_better=None)
    return table


# --- refusals


def too_large() -> dict[str, Any]:
    """Values of 15 MB."""
    line = sentence("line", 20)
    return {
        "one text": "x" * REFUSED_BYTES,
        "100,000 lines": [f"{number} {line}"[:150].ljust(150) for number in range(REFUSED_BYTES // 150)],
        "dicts": [{"number": number, "line": line} for number in range(REFUSED_BYTES // (len(line) + 15))],
    }


async def refusals(bench: Bench) -> Table:
    """How long a refused put takes, against serialising alone."""
    table = bench.table("refusing 15 MB")

    async def lap(value: Any, contender: Contender) -> float:
        saver = contender.saver
        made = HandMade(saver, f"refused-{time.monotonic_ns()}")
        started = time.perf_counter()
        saver.serde.dumps_typed(value)
        between = time.perf_counter()
        try:
            await made.put(state=value)
        except CheckpointTooLarge:
            return (time.perf_counter() - between) / (between - started)
        raise AssertionError("15 MB were accepted")

    async with bench.all_open():
        for contender in bench.contenders:
            await HandMade(contender.saver, "warm").put(state=1)
        for name, value in too_large().items():
            table.add(f"{name}: put / serialising", await bench.interleaved(partial(lap, value)), more_is_better=None)
    return table


async def run(bench: Bench) -> list[Table]:
    """Measure ckptstore alone: no official saver prunes by time, or refuses."""
    mine = ours_only(bench)
    return [await refusals(mine), await alone(mine), await beside_writers(mine), await days(mine)]
