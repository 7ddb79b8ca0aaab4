"""What is measured. A section is a module with a docstring and `async def run(bench)`, in this list."""

from collections.abc import Sequence

from benchmarks.bench import Section
from benchmarks.sections import (
    bounded,
    chat,
    growth,
    latency,
    move,
    pressure,
    processes,
    proxy,
    read,
    sliding,
    start,
    steps,
    store,
    tags,
    upkeep,
    upload,
)

SECTIONS: Sequence[Section] = (
    *(steps, chat, upload, read, tags, store, bounded, latency, proxy, processes, start, pressure, upkeep, growth, sliding, move),
)
