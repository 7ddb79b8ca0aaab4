"""An upload of 5 MB in the state: what it costs every later checkpoint, and how often it is stored.

(a) A put of a checkpoint in which another channel changes, beside the same put on a thread without an upload.
(b) Processor time of such a put, of all threads of this process (a database server's own is not in it): for one task
alone, and for many that put at once, each on a thread with an upload of its own.
(c) What is stored after the upload passed through `__start__`, a node's writes and a channel of a real graph.
(d) Bytes of rows per checkpoint: every column of every row with that thread's id.
"""

from __future__ import annotations

import asyncio
import operator
import os
import statistics
import time
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, TypedDict

from langgraph.graph import END, START, StateGraph

from benchmarks.bench import Bench
from benchmarks.contenders import AnySaver, Contender
from benchmarks.report import Table
from benchmarks.workload import HandMade, thread

UPLOAD_BYTES = 5_000_000
PUTS_OF_A_CROWD = 2


class Puts(NamedTuple):
    """Medians of one lap; milliseconds."""

    with_upload: float
    without_upload: float
    cpu: float
    cpu_in_a_crowd: float
    row_bytes: float | None


class Stored(NamedTuple):
    """What a graph's run left behind; None for what is in memory."""

    objects: int | None
    object_bytes: int | None
    stored_bytes: int | None
    row_bytes: float | None


async def timed_put(made: HandMade, count: int) -> float:
    """Milliseconds of a put in which one small channel changes."""
    started = time.perf_counter()
    await made.put(count=count)
    return (time.perf_counter() - started) * 1e3


async def cpu_of_puts(threads: Sequence[HandMade], puts: int) -> float:
    """Milliseconds of processor time of a put, while all of these threads put at once."""

    async def go_on(made: HandMade) -> None:
        for count in range(puts):
            await made.put(count=count)

    started = time.process_time()
    await asyncio.gather(*map(go_on, threads))
    return (time.process_time() - started) * 1e3 / (puts * len(threads))


async def measure_puts(contender: Contender, upload: bytes, puts: int, crowd: int) -> Puts:
    """One lap on a fresh database: puts with and without an upload in turn, then some with it on the processor's clock."""
    async with contender:
        heavy, light = HandMade(contender.saver, "heavy"), HandMade(contender.saver, "light")
        await heavy.put(upload=upload, count=0)
        await light.put(count=0)
        pairs = [(await timed_put(heavy, count), await timed_put(light, count)) for count in range(1, puts + 1)]
        cpu = await cpu_of_puts([heavy], puts)
        rows = await contender.database.row_bytes("heavy") / (2 * puts + 1) if contender.database else None
        many = [HandMade(contender.saver, f"crowd-{number}") for number in range(crowd)]
        for made in many:
            await made.put(upload=upload, count=0)
        cpu_in_a_crowd = await cpu_of_puts(many, PUTS_OF_A_CROWD)
    with_upload, without = (statistics.median(times) for times in zip(*pairs, strict=True))
    return Puts(with_upload, without, cpu, cpu_in_a_crowd, rows)


class State(TypedDict, total=False):
    """A document and what was said about it."""

    upload: bytes
    log: Annotated[list[str], operator.add]


def graph_with_upload(saver: AnySaver) -> Any:
    """The input brings the upload, the first node writes it again as it is, the second leaves it alone."""

    async def keep(state: State) -> State:
        return {"upload": state["upload"], "log": ["kept"]}

    async def answer(state: State) -> State:
        return {"log": ["answered"]}

    builder = StateGraph(State)
    builder.add_node("keep", keep)
    builder.add_node("answer", answer)
    builder.add_edge(START, "keep")
    builder.add_edge("keep", "answer")
    builder.add_edge("answer", END)
    return builder.compile(checkpointer=saver)


async def measure_stored(contender: Contender, upload: bytes) -> Stored:
    """Run the graph once on a fresh database."""
    async with contender:
        graph = graph_with_upload(contender.saver)
        result = await graph.ainvoke({"upload": upload, "log": ["asked"]}, thread("graph"))
        assert result["upload"] == upload, f"{contender.name} returned another upload"
        if contender.database is None:
            return Stored(None, None, None, None)
        checkpoints = len([found async for found in contender.saver.alist(thread("graph"))])
        blobs = contender.database.blobs()
        rows = await contender.database.row_bytes("graph") / checkpoints
        return Stored(len(blobs), sum(blobs), await contender.stored_bytes(), rows)


async def run(bench: Bench) -> list[Table]:
    """Measure puts in laps, and what is stored once: it is the same every time."""
    puts, crowd = bench.size(30, 3, quick=10), bench.size(50, 2, quick=10)
    upload = os.urandom(bench.size(UPLOAD_BYTES, 200_000, quick=UPLOAD_BYTES))
    laps = await bench.interleaved(lambda contender: measure_puts(contender, upload, puts, crowd))
    costs = bench.table(f"put beside an unchanged upload of {len(upload):,} bytes")
    costs.add("ms, with the upload", {name: [lap.with_upload for lap in each] for name, each in laps.items()})
    costs.add("ms, without it", {name: [lap.without_upload for lap in each] for name, each in laps.items()})
    ratio = {name: [lap.with_upload / lap.without_upload for lap in each] for name, each in laps.items()}
    costs.add("with / without", ratio, more_is_better=None)
    costs.add("ms of processor time, one task", {name: [lap.cpu for lap in each] for name, each in laps.items()})
    costs.add(f"ms of processor time, {crowd} tasks", {name: [lap.cpu_in_a_crowd for lap in each] for name, each in laps.items()})
    costs.add(
        f"bytes of rows per checkpoint, {2 * puts + 1} checkpoints", {name: [lap.row_bytes for lap in each] for name, each in laps.items()}
    )

    found = {contender.name: await measure_stored(contender, upload) for contender in bench.contenders}
    stored = bench.table("the upload through a real graph")
    stored.add("objects outside the database", {name: [each.objects] for name, each in found.items()}, more_is_better=None)
    stored.add("bytes of these objects", {name: [each.object_bytes] for name, each in found.items()}, more_is_better=None)
    stored.add("bytes stored in all", {name: [each.stored_bytes] for name, each in found.items()})
    stored.add("bytes of rows per checkpoint", {name: [each.row_bytes] for name, each in found.items()})
    return [costs, stored]
