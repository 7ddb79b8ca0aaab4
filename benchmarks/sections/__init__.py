"""What is measured. A section is a module with a docstring and `async def run(bench)`, in this list."""

from collections.abc import Sequence

from benchmarks.bench import Section
from benchmarks.sections import (
    bounded,
    chat,
    growth,
    inspect,
    latency,
    long,
    move,
    open,
    pressure,
    processes,
    proxy,
    read,
    sliding,
    start,
    steps,
    store,
    sync,
    tags,
    upkeep,
    upload,
)

SECTIONS: Sequence[Section] = (
    *(steps, sync, chat, long, sliding, upload, read, tags, store, bounded, latency, proxy, processes, start, open, pressure, upkeep),
    *(growth, move, inspect),
)
