"""Sliding: a list of messages that grows to 200 and then loses its oldest with each new one; bytes stored a checkpoint.

Every checkpoint has one new message, of 30 words or of 120. The whole database counts: rows, indexes, what is stored beside it.
"""

from __future__ import annotations

import time
from functools import partial
from typing import NamedTuple

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage

from benchmarks.bench import Bench
from benchmarks.contenders import IN_MEMORY, Contender
from benchmarks.report import Table
from benchmarks.workload import AI_WORDS, HUMAN_WORDS, HandMade, sentence

WINDOW = 200
STEPS = 600


class Lap(NamedTuple):
    """Of one contender, a checkpoint."""

    growing_bytes: float
    sliding_bytes: float
    sliding_milliseconds: float


def message(number: int) -> AnyMessage:
    """The message of a step, the same for every contender."""
    if number % 2:
        return AIMessage(sentence(f"answer {number}", AI_WORDS), id=f"message-{number}")
    return HumanMessage(sentence(f"question {number}", HUMAN_WORDS), id=f"message-{number}")


async def lap(contender: Contender, window: int, steps: int) -> Lap:
    """Put the window as it grows and slides, in a fresh database."""
    async with contender:
        made = HandMade(contender.saver, "sliding")
        messages = [message(number) for number in range(steps)]
        for number in range(window):
            await made.put(messages=messages[: number + 1])
        grown = await contender.stored_bytes() or 0
        started = time.perf_counter()
        for number in range(window, steps):
            await made.put(messages=messages[number + 1 - window : number + 1])
        seconds = time.perf_counter() - started
        slid = await contender.stored_bytes() or 0
        return Lap(grown / window, (slid - grown) / (steps - window), seconds / (steps - window) * 1e3)


async def run(bench: Bench) -> list[Table]:
    """Measure every saver that stores."""
    stored = bench.among([contender for contender in bench.contenders if contender.name != IN_MEMORY])
    window, steps = bench.size(WINDOW, 10, quick=WINDOW), bench.size(STEPS, 30, quick=STEPS)
    laps = await stored.interleaved(partial(lap, window=window, steps=steps))
    table = stored.table(f"a window of {window} messages, {steps} checkpoints")
    for label, field in (
        ("bytes a checkpoint while it grows", "growing_bytes"),
        ("bytes a checkpoint while it slides", "sliding_bytes"),
        ("a put while it slides, ms", "sliding_milliseconds"),
    ):
        table.add(label, {name: [getattr(each, field) for each in of_one] for name, of_one in laps.items()})
    return [table]
