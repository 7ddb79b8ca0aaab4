"""Measure what reuse saves of LangGraph's serialiser: `python scripts/measure_serialiser.py [--rounds 15]`.

For chats of 200, 1,000 and 3,000 messages, one of which is new, it writes and reads them in turns with `JsonPlusSerializer` alone and with
reuse, and prints medians and ratios. The ratios hold on another machine; the times don't.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore.langgraph.serialiser.reusing import ReusingSerialiser

LENGTHS = (200, 1_000, 3_000)


def chat(length: int) -> list[AnyMessage]:
    """A chat whose messages are about 300 characters long."""
    usage: Any = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    return [
        HumanMessage(f"question {n} " * 25, id=f"q{n}")
        if n % 2 == 0
        else AIMessage(f"answer {n} " * 25, id=f"a{n}", usage_metadata=usage, response_metadata={"model": "m", "finish_reason": "stop"})
        for n in range(length)
    ]


def compare(title: str, rounds: int, plain: Callable[[int], object], reusing: Callable[[int], object]) -> None:
    """Run both in turns and print their medians."""
    times: tuple[list[float], list[float]] = ([], [])
    for n in range(rounds):
        for way, taken in zip((plain, reusing), times, strict=True):
            gc.collect()
            start = perf_counter()
            way(n)
            taken.append((perf_counter() - start) * 1000)
    one, other = map(median, times)
    print(f"{title}: JsonPlusSerializer {one:.2f} ms, with reuse {other:.2f} ms, ratio {other / one:.2f}")


def main() -> None:
    """Measure each length."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    plain = JsonPlusSerializer()
    reusing = ReusingSerialiser(plain)
    for length in LENGTHS:
        messages = chat(length)
        reusing.dumps_typed(messages)
        versions = [[*messages[:-1], HumanMessage(f"new {n}", id=f"n{n}")] for n in range(rounds)]
        stored = list(map(plain.dumps_typed, versions))
        reusing.loads_typed(stored[0])
        print(f"{length} messages, {len(stored[0][1]):,} bytes")
        compare(
            "  write",
            rounds,
            lambda n, of=versions: plain.dumps_typed(of[n]),
            lambda n, of=versions: reusing.dumps_typed(of[n]),  # type: ignore[misc]
        )
        compare("  read", rounds, lambda n, of=stored: plain.loads_typed(of[n]), lambda n, of=stored: reusing.loads_typed(of[n]))  # type: ignore[misc]


if __name__ == "__main__":
    main()
