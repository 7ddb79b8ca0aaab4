"""Find by tag: checkpoints of all threads by their metadata, in a small table and in a large one, and what tags cost a put.

Each checkpoint has a tenant (10 of them), a kind (2), a user (one for 100 checkpoints, and one with 100 threads) and, a few of
them, a flag. Listings are complete: checkpoints with their values and pending writes, newest first. The official savers have no
listing of threads: theirs are those of the checkpoints that they list.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from benchmarks.bench import Bench, Scale
from benchmarks.charts import draw_lines, medians
from benchmarks.contenders import IN_MEMORY, OURS, AnySaver, Contender, ckptstore
from benchmarks.corpus import KIND, RARE, STEPS, TENANT, USER, Corpus
from benchmarks.filling import fill
from benchmarks.report import Table
from benchmarks.workload import HandMade
from ckptstore import SQLAlchemySaver
from ckptstore.tags.keys import TagKeys

HITS = 100
RARE_HITS = 10
THREADS = 50
TASKS = 50
WITHOUT = ", without"
TWO_COMMON = "two common tags, 100 hits"
#: How many checkpoints, and whether the official savers take part: they read whole tables.
SIZES: Mapping[Scale, Sequence[tuple[int, bool]]] = {
    Scale.SMOKE: ((300, True), (600, False)),
    Scale.QUICK: ((2_000, True), (10_000, True)),
    Scale.NORMAL: ((10_000, True), (50_000, False)),
    Scale.FULL: ((10_000, True), (100_000, True), (1_000_000, False)),
}

#: Runs a search once, and says how much it found; None for a saver that has no such search.
Ask = Callable[[AnySaver], Awaitable[int] | None]
Laps = dict[str, list[float | None]]


async def listed(saver: AnySaver, limit: int, **asked: Any) -> int:
    """Checkpoints, complete."""
    if isinstance(saver, SQLAlchemySaver):
        return len(await saver.alist(None, limit=limit, **asked))
    return len([found async for found in saver.alist(None, limit=limit, **asked)])


async def threads(saver: AnySaver, wanted: dict[str, Any] | None) -> int:
    """Threads that have such a checkpoint."""
    if isinstance(saver, SQLAlchemySaver):
        return len(await saver.alist_threads(filter=wanted, limit=THREADS))
    seen: set[str] = set()
    async with aclosing(saver.alist(None, filter=wanted)) as found:  # type: ignore[type-var]
        async for each in found:
            seen.add(each.config["configurable"]["thread_id"])
            if len(seen) == THREADS:
                break
    return len(seen)


def ours(ask: Callable[[SQLAlchemySaver], Awaitable[int]]) -> Ask:
    """What only ckptstore can be asked."""
    return lambda saver: ask(saver) if isinstance(saver, SQLAlchemySaver) else None


def questions(corpus: Corpus) -> dict[str, tuple[Ask, int]]:
    """Each search by its row's label, and how much it has to find."""
    middle = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=corpus.started_at, seconds=corpus.size // 2)
    tenant, kind, user = {"tenant": TENANT}, {"kind": KIND}, {"user": USER}
    late = tenant | {"step": {"$gte": STEPS - 2}}
    # A tenth of the checkpoints has each; none has both.
    never = {"source": "input", "step": STEPS // 2}
    counts = corpus.counts
    return {
        TWO_COMMON: (
            partial(listed, limit=HITS, filter=tenant | kind), min(HITS, counts["tenant and kind"])),
        "two common tags that never meet": (partial(listed, limit=HITS, filter=never), 0),
        "a rare tag and a common one, 10 hits": (
            partial(listed, limit=RARE_HITS, filter={"flag": RARE} | kind), min(RARE_HITS, counts["rare and kind"])),
        "a common tag from before a moment, 100 hits": (
            ours(partial(listed, limit=HITS, filter=tenant, created_before=middle)), min(HITS, counts["tenant, first half"])),
        "a common tag and step >= 8, 100 hits": (
            ours(partial(listed, limit=HITS, filter=late)), min(HITS, counts["tenant, late step"])),
        "the 50 most recently active threads": (ours(partial(threads, wanted=None)), min(THREADS, corpus.threads)),
        "50 threads of a user": (partial(threads, wanted=user), min(THREADS, counts["threads of user"])),
        "50 threads of a tenant": (partial(threads, wanted=tenant), min(THREADS, counts["threads of tenant"])),
        "threads with two tags that never meet": (partial(threads, wanted=never), 0),
    }  # fmt: skip


async def milliseconds(contender: Contender, ask: Ask, expected: int, repetitions: int) -> float | None:
    """One lap: the median of some searches."""
    times = []
    for _ in range(repetitions):
        started = time.perf_counter()
        asked = ask(contender.saver)
        if asked is None:
            return None
        found = await asked
        times.append((time.perf_counter() - started) * 1e3)
        assert found == expected, f"{contender.name} found {found} of {expected}"
    return statistics.median(times)


async def searches(bench: Bench, corpus: Corpus) -> dict[str, Laps]:
    """Every search in every saver, all of which hold the same checkpoints."""
    repetitions = bench.size(15, 2, quick=5)
    async with bench.all_open():
        for contender in bench.contenders:
            await fill(contender, corpus)
        return {
            label: await bench.interleaved(partial(milliseconds, ask=ask, expected=expected, repetitions=repetitions))
            for label, (ask, expected) in questions(corpus).items()
        }


async def find(bench: Bench) -> list[Table]:
    """A table for each size, and how the searches grow."""
    on_disk = [contender for contender in bench.contenders if contender.name != IN_MEMORY]
    of_ours = [contender for contender in on_disk if contender.name in OURS]
    tables, seen = [], []
    for size, everyone in SIZES[bench.scale]:
        among = bench.among(on_disk if everyone else of_ours)
        found = await searches(among, Corpus(size))
        table = among.table(f"{size:,} checkpoints, ms")
        for label, laps in found.items():
            table.add(label, laps)
        tables.append(table)
        seen.append((size, found))
    if bench.results:
        lines = medians({size: found[TWO_COMMON] for size, found in seen})
        draw_lines(bench.results / "tags.png", f"Searching for {TWO_COMMON}", ("checkpoints in the table", "ms"), lines, logarithmic="xy")
    (smallest, first), (largest, last) = seen[0], seen[-1]
    growth = bench.among(of_ours).table(f"time at {largest:,} / time at {smallest:,}")
    for label in first:
        names = [contender.name for contender in of_ours]
        growth.add(label, {name: [median(last[label][name]) / median(first[label][name])] for name in names}, more_is_better=None)
    return [*tables, growth]


def median(laps: Sequence[float | None]) -> float:
    """The median of laps that were all measured."""
    return statistics.median(lap for lap in laps if lap is not None)


async def puts_per_second(contender: Contender, puts: int) -> float:
    """One lap on new threads: each task puts on one of its own, with three tags of its user's."""
    lap = time.monotonic_ns()
    made = [
        HandMade(contender.saver, f"tags-{lap}-{task}", {"tenant": f"tenant-{task % 10}", "kind": KIND, "user": f"user-{task}"})
        for task in range(TASKS)
    ]

    async def go_on(thread: HandMade) -> None:
        for count in range(puts // TASKS):
            await thread.put(messages=[{"role": "user", "content": f"How far are we with part {count}?"}], count=count)

    started = time.perf_counter()
    await asyncio.gather(*map(go_on, made))
    return TASKS * (puts // TASKS) / (time.perf_counter() - started)


async def cost(bench: Bench) -> Table:
    """Puts with all keys indexed and with none, lap by lap on the same machine."""
    puts = bench.size(4_000, 100, quick=1_000)
    with_tags = [contender for contender in bench.contenders if contender.name in OURS]
    connect = partial(ckptstore, tag_keys=TagKeys(include=()))
    pairs = [(contender, contender.opened_with(contender.name + WITHOUT, connect)) for contender in with_tags]
    everyone = bench.among([contender for pair in pairs for contender in pair])
    async with everyone.all_open():
        for contender in everyone.contenders:
            await puts_per_second(contender, TASKS)
        laps = await everyone.interleaved(partial(puts_per_second, puts=puts))
        stored = {contender.name: await contender.stored_bytes() for contender in everyone.contenders}
    table = bench.among(with_tags).table(f"what tags cost, {TASKS} tasks")
    names = [contender.name for contender in with_tags]
    table.add("puts/s, all keys indexed", {name: laps[name] for name in names}, more_is_better=True)
    table.add("puts/s, TagKeys(include=())", {name: laps[name + WITHOUT] for name in names}, more_is_better=True)
    ratio = {name: [tagged / plain for tagged, plain in zip(laps[name], laps[name + WITHOUT], strict=True)] for name in names}
    table.add("with / without tags", ratio, more_is_better=None)
    bytes_ratio = {name: [(stored[name] or 0) / (stored[name + WITHOUT] or 1)] for name in names}
    table.add("bytes stored, with / without tags", bytes_ratio, more_is_better=None)
    return table


async def run(bench: Bench) -> list[Table]:
    """Search tables that grow, then put with and without tags."""
    return [*await find(bench), await cost(bench)]
