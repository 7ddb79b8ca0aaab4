"""Measure the CPU time of a step with and without OpenTelemetry, in turns: `python scripts/measure_monitoring.py [ROUNDS]`.

A step is one `aput`, one `aput_writes` and one `aget_tuple` of small values on SQLite. Each way runs in turn, so that what else the machine
does falls on all of them; medians are reported. "Not counted" leaves out what `saver.stats()` counts.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import empty_checkpoint
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ckptstore import MonitoringSettings, SQLAlchemySaver
from ckptstore.monitoring.monitor import Monitor
from ckptstore.monitoring.operation import Operation

STEPS = 100


async def steps(saver: SQLAlchemySaver) -> float:
    """Microseconds of CPU time of one step."""
    where: Any = {"configurable": {"thread_id": str(time.monotonic_ns()), "checkpoint_ns": ""}}
    started = time.process_time()
    for step in range(STEPS):
        version = f"{step + 1:08}.abcdefgh"
        made = empty_checkpoint()
        made["channel_values"], made["channel_versions"] = (
            {"n": step, "messages": ["hello", str(step)]},
            {"n": version, "messages": version},
        )
        metadata: Any = {"source": "loop", "step": step, "parents": {}}
        where = await saver.aput(where, made, metadata, made["channel_versions"])
        await saver.aput_writes(where, [("n", step)], "task")
        await saver.aget_tuple(where)
    return (time.process_time() - started) / STEPS * 1e6


async def main(rounds: int) -> None:
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    with_sdk = MonitoringSettings(tracer_provider=tracers, meter_provider=MeterProvider([InMemoryMetricReader()]))
    counting = Operation.ended, Monitor.committed
    found: dict[str, list[float]] = {"not counted": [], "counted (the API alone)": [], "spans and metrics (the SDK)": []}
    with tempfile.TemporaryDirectory() as folder:
        plain = SQLAlchemySaver.from_conn_string(str(Path(folder) / "plain.sqlite"))
        measured = SQLAlchemySaver.from_conn_string(str(Path(folder) / "measured.sqlite"), monitoring=with_sdk)
        async with plain, measured:
            for number in range(rounds + 1):
                Operation.ended, Monitor.committed = (lambda *_: None), (lambda *_: None)  # type: ignore[method-assign,assignment]
                none = await steps(plain)
                Operation.ended, Monitor.committed = counting  # type: ignore[method-assign]
                for kind, value in zip(found, (none, await steps(plain), await steps(measured)), strict=True):
                    # The first round opens connections and fills caches.
                    found[kind] += [value] if number else []
    base = statistics.median(found["not counted"])
    for kind, values in found.items():
        print(f"{kind}: {statistics.median(values):.0f} us of CPU a step, {statistics.median(values) / base - 1:+.1%}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
