"""Long chats: what one turn takes in a thread of 200, 1,000 and 3,000 messages, wall time and CPU.

LangGraph loads the whole conversation at the start of each turn, and every saver, also the one in memory, serialises all of it at the end.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from functools import partial

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage

from benchmarks.bench import Bench
from benchmarks.charts import draw_lines, medians
from benchmarks.contenders import IN_MEMORY, Contender
from benchmarks.report import Table
from benchmarks.workload import AI_WORDS, HUMAN_WORDS, chat, chat_graph, sentence, thread

MESSAGES = (200, 1_000, 3_000)
SMOKE_MESSAGES = (4, 8, 12)


def conversation(messages: int) -> list[AnyMessage]:
    """So many messages, in turn a person's and the graph's."""
    return [
        AIMessage(sentence(f"long {number}", AI_WORDS)) if number % 2 else HumanMessage(sentence(f"long {number}", HUMAN_WORDS))
        for number in range(messages)
    ]


async def begin(contender: Contender, messages: int) -> None:
    """Store a thread with so many messages, and hold a turn of it, after which everybody's caches are as they will be."""
    name = f"long-{messages}"
    await chat_graph(contender.saver).aupdate_state(thread(name), {"messages": conversation(messages)})
    await chat(contender.saver, name, 1, after=messages)


async def turns(contender: Contender, messages: int, count: int) -> tuple[float, float]:
    """Milliseconds of wall time and of CPU that one turn takes: the medians of some turns."""
    wall, cpu = list[float](), list[float]()
    for _ in range(count):
        started, busy = time.perf_counter(), time.process_time()
        await chat(contender.saver, f"long-{messages}", 1, after=messages)
        wall.append((time.perf_counter() - started) * 1e3)
        cpu.append((time.process_time() - busy) * 1e3)
    return statistics.median(wall), statistics.median(cpu)


def note_ratios(table: Table, messages: int, laps: Mapping[str, Sequence[float]]) -> None:
    """Say how many times the turn in memory each contender's takes."""
    took = {name: statistics.median(each) for name, each in laps.items()}
    if in_memory := took.pop(IN_MEMORY, None):
        ratios = ", ".join([f"{name} {each / in_memory:.2f}" for name, each in took.items()])
        table.note(f"{messages:,} messages, times the turn in memory: {ratios}")


async def run(bench: Bench) -> list[Table]:
    """Each length on the same open savers."""
    count, lengths = bench.size(10, 1, quick=4), SMOKE_MESSAGES if bench.size(1, 0, quick=1) == 0 else MESSAGES
    wall, cpu = bench.table("one turn, wall, ms"), bench.table("one turn, CPU, ms")
    laps: dict[int, dict[str, list[float]]] = {}
    async with bench.all_open():
        for messages in lengths:
            for contender in bench.contenders:
                await begin(contender, messages)
            found = await bench.interleaved(partial(turns, messages=messages, count=count))
            laps[messages] = {name: [each for each, _ in by_lap] for name, by_lap in found.items()}
            wall.add(f"of {messages:,} messages", laps[messages])
            cpu.add(f"of {messages:,} messages", {name: [each for _, each in by_lap] for name, by_lap in found.items()})
            note_ratios(wall, messages, laps[messages])
    if bench.results:
        draw_lines(bench.results / "long.png", "One turn of a long chat", ("messages in the thread", "ms"), medians(laps))
    return [wall, cpu]
