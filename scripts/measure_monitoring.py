"""Measure the CPU time that counting, and OpenTelemetry's spans and metrics, add to a step: `python scripts/measure_monitoring.py [LAPS]`.

A step is one put, one task's writes and one get of small values on a SQLite file. Laps of 2 steps alternate between the two ways that are
compared, in both orders, so that whatever else the machine does falls on both. Reported are medians: of the CPU time of a step, and of
what a lap takes more than the one beside it; the last column encloses the true median with a probability of 95 %. "Nothing counted"
leaves out all that `saver.stats()` counts, but for the hits of the cache. Spans and metrics go to exporters that keep nothing, so that
what is measured is ckptstore and the SDK.
"""

from __future__ import annotations

import asyncio
import gc
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import empty_checkpoint
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from ckptstore import MonitoringSettings, SQLAlchemySaver
from ckptstore.monitoring.monitor import Monitor

STEPS = 2

Lap = Callable[[SQLAlchemySaver], None]


class Dropping(SpanExporter):
    """Keeps no span."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Drop them."""
        return SpanExportResult.SUCCESS


class Uncounted:
    """In the place of an operation: counts nothing."""

    def ended(self, _started: float, _subject: object) -> None:
        """Do nothing."""


@contextmanager
def counting_nothing(saver: SQLAlchemySaver) -> Iterator[None]:
    """Leave out what counts in a saver. No class is changed: that would slow down the calls of all its objects."""
    monitor = saver.store.monitor
    kept = {name: getattr(monitor, name) for name in ("put", "put_writes", "get")}
    for name in kept:
        setattr(monitor, name, Uncounted())
    for name in ("committed", "stored_directly"):
        setattr(monitor, name, lambda *_: None)
    yield
    vars(monitor).update(kept)
    del monitor.committed, monitor.stored_directly


def checkpoint(step: int) -> tuple[Any, Any, Any]:
    """The checkpoint of a step, its metadata and its new versions."""
    made, number = empty_checkpoint(), f"{step + 1:08}.abcdefgh"
    made["channel_values"] = {"n": step, "messages": ["hello", str(step)]}
    made["channel_versions"] = {"n": number, "messages": number}
    return made, {"source": "loop", "step": step, "parents": {}}, made["channel_versions"]


def synchronous(saver: SQLAlchemySaver) -> None:
    """The steps of a thread, in plain code."""
    where: Any = {"configurable": {"thread_id": str(time.monotonic_ns()), "checkpoint_ns": ""}}
    for step in range(STEPS):
        where = saver.put(where, *checkpoint(step))
        saver.put_writes(where, [("n", step)], "task")
        saver.get_tuple(where)


def asynchronous(loop: asyncio.AbstractEventLoop) -> Lap:
    """The same in an event loop."""

    async def steps(saver: SQLAlchemySaver) -> None:
        where: Any = {"configurable": {"thread_id": str(time.monotonic_ns()), "checkpoint_ns": ""}}
        for step in range(STEPS):
            where = await saver.aput(where, *checkpoint(step))
            await saver.aput_writes(where, [("n", step)], "task")
            await saver.aget_tuple(where)

    return lambda saver: loop.run_until_complete(steps(saver))


def microseconds(lap: Lap, saver: SQLAlchemySaver) -> float:
    """The CPU time of one step."""
    started = time.process_time()
    lap(saver)
    return (time.process_time() - started) / STEPS * 1e6


def compared(one: Callable[[], float], other: Callable[[], float], laps: int) -> tuple[list[float], list[float]]:
    """The times of two ways, lap by lap, each first in every second pair."""
    ones: list[float] = []
    others: list[float] = []
    for number in range(laps + 10):
        pair = [(one, ones), (other, others)]
        for way, found in pair if number % 2 else reversed(pair):
            found.append(way())
        if number % 250 == 0:
            gc.collect()
    # The first pairs open connections and fill caches.
    return ones[10:], others[10:]


def report(kind: str, base: list[float], values: list[float]) -> None:
    """Print what a way costs more than the base."""
    middle = statistics.median(base)
    differences = sorted(value - before for before, value in zip(base, values, strict=True))
    # The order statistics that enclose the median of a sample with 95 %.
    spread = round(0.98 * len(differences) ** 0.5)
    low, high = (differences[max(0, min(len(differences) - 1, len(differences) // 2 + side * spread))] for side in (-1, 1))
    more = statistics.median(differences)
    print(
        f"  {kind:<40} {middle:6.0f} us {statistics.median(values):6.0f} us {more:+7.1f} us {more / middle:+7.2%}"
        f"   {low / middle:+.2%} to {high / middle:+.2%}"
    )


def settings(*, spans: bool, metrics: bool, sampled: bool = True) -> MonitoringSettings:
    """Settings with the SDK's providers."""
    tracers = TracerProvider() if sampled else TracerProvider(ALWAYS_OFF)
    tracers.add_span_processor(BatchSpanProcessor(Dropping()))
    meters = MeterProvider([InMemoryMetricReader()])
    return MonitoringSettings(tracer_provider=tracers if spans else None, meter_provider=meters if metrics else None)


WAYS = {
    "spans": settings(spans=True, metrics=False),
    "spans, of which the sampler takes none": settings(spans=True, metrics=False, sampled=False),
    "metrics": settings(spans=False, metrics=True),
    "spans and metrics": settings(spans=True, metrics=True),
}


def calls_of_counting() -> float:
    """The CPU time, in microseconds, of what counts in a step that is stored directly: the calls alone, with nothing else between them."""
    monitor, key, times = Monitor(), ("thread", "", "1f0"), 10_000

    def a_step() -> None:
        for operation in (monitor.put, monitor.put_writes):
            started = time.perf_counter()
            monitor.stored_directly(200, 0.0002)
            operation.ended(started, key)
        monitor.get.ended(time.perf_counter(), key)

    found: list[float] = []
    for _ in range(20):
        started = time.process_time()
        for _ in range(times):
            a_step()
        found.append((time.process_time() - started) / times * 1e6)
    return statistics.median(found)


def measure_counting(lap: Lap, file: str, laps: int) -> None:
    """Compare a saver that counts with one that does not; and, for what the machine adds, two that do not.

    Two savers of one file differ by a percent, by where their objects are in memory. So they change roles half way.
    """
    with SQLAlchemySaver.from_conn_string(file) as one, SQLAlchemySaver.from_conn_string(file) as other:
        without: dict[str, list[float]] = {"nothing counted, again": [], "counted": []}
        values: dict[str, list[float]] = {"nothing counted, again": [], "counted": []}
        for first, second in ((one, other), (other, one)):
            ways = partial(microseconds, lap, first), partial(microseconds, lap, second)
            with counting_nothing(first):
                with counting_nothing(second):
                    _add(without, values, "nothing counted, again", compared(*ways, laps // 2))
                _add(without, values, "counted", compared(*ways, laps // 2))
    for kind, found in values.items():
        report(kind, without[kind], found)
    calls = calls_of_counting()
    print(f"  {'of which the calls that count':<40} {'':19} {calls:+7.1f} us {calls / statistics.median(without['counted']):+7.2%}")


def _add(without: dict[str, list[float]], values: dict[str, list[float]], kind: str, found: tuple[list[float], list[float]]) -> None:
    without[kind] += found[0]
    values[kind] += found[1]


def measure_spans(lap: Lap, plain: SQLAlchemySaver, folder: Path, laps: int) -> None:
    """Compare spans and metrics with a step that is counted only."""
    for kind, monitoring in WAYS.items():
        with SQLAlchemySaver.from_conn_string(str(folder / f"{kind}.sqlite"), monitoring=monitoring) as measured:
            report(kind, *compared(partial(microseconds, lap, plain), partial(microseconds, lap, measured), laps))


def main(laps: int) -> None:
    """Measure both kinds of callers."""
    sdk = version("opentelemetry-sdk")
    print(f"Python {platform.python_version()}, opentelemetry-sdk {sdk}, {laps} pairs of laps, of counting {4 * laps}")
    loop = asyncio.new_event_loop()
    kinds = {"put, put_writes, get_tuple": synchronous, "aput, aput_writes, aget_tuple": asynchronous(loop)}
    with tempfile.TemporaryDirectory() as name, SQLAlchemySaver.from_conn_string(str(Path(name) / "plain.sqlite")) as plain:
        for title, lap in kinds.items():
            heading(title, "nothing")
            # What is small takes more pairs to see.
            measure_counting(lap, str(Path(name) / "plain.sqlite"), 4 * laps)
        # A process in which there are spans carries their context into worker threads, also those of the other saver: so this comes last.
        for title, lap in kinds.items():
            folder = Path(name) / title[:4].strip(", ")
            folder.mkdir()
            heading(title, "counted")
            measure_spans(lap, plain, folder, laps)
    loop.close()


def heading(title: str, beside: str) -> None:
    """Print what is compared."""
    print(f"\n{title:<42} {beside:>9}      so    more CPU of a step   (95 %)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
