"""A cold start, in fresh processes: the import, and the first put on a fresh database with its schema.

The import is what comes on top of what LangGraph itself imports. The first put is timed from the saver's constructor to its
acknowledgement, with the imports that a user writes done before; what a saver loads later, at its first use, counts. The second one
is on another fresh database in the same process.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Sequence
from functools import partial

from benchmarks.bench import Bench
from benchmarks.contenders import ASYNC_POSTGRES, ASYNC_SQLITE, CKPTSTORE_POSTGRES, CKPTSTORE_SQLITE, CONNECT, IN_MEMORY, Contender
from benchmarks.fresh import in_fresh_processes
from benchmarks.report import Table
from benchmarks.sections.steps import values_of
from benchmarks.workload import HandMade

SLOWEST = 5
_IMPORTS = {
    IN_MEMORY: "langgraph.checkpoint.memory",
    ASYNC_SQLITE: "langgraph.checkpoint.sqlite.aio",
    ASYNC_POSTGRES: "psycopg_pool, langgraph.checkpoint.postgres.aio",
    CKPTSTORE_SQLITE: "ckptstore",
    CKPTSTORE_POSTGRES: "ckptstore",
}
_LANGGRAPH = "import langgraph.graph, langgraph.checkpoint.base, sys, time"
_MARK = "what LangGraph imports ends here"


async def python(*arguments: str) -> tuple[str, str]:
    """Run a Python that sees what this one sees; what it printed, and its standard error."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=pipe, stderr=pipe, env=environment)
    output, errors = (stream.decode() for stream in await process.communicate())
    if process.returncode:
        raise RuntimeError(errors)
    return output, errors


async def import_seconds(contender: Contender, runs: int) -> float:
    """Seconds of the import: the median of some processes."""
    timed = f"{_LANGGRAPH}; started = time.perf_counter(); import {_IMPORTS[contender.name]}; print(time.perf_counter() - started)"
    return statistics.median([float((await python("-c", timed))[0]) for _ in range(runs)])


def outermost(lines: Sequence[str], package: str) -> list[tuple[float, str]]:
    """What the modules of a package import from elsewhere, the slowest first.

    Args:
        lines: of `python -X importtime`: a module follows those that it imports, which are indented deeper.
        package: whose own modules are looked through.

    Returns:
        Milliseconds, with all that a module imports in turn, and its name.
    """
    found, above = [], list[str]()
    for line in reversed(lines):
        _, microseconds, name = line.split("|")
        depth = (len(name) - len(name.lstrip()) - 1) // 2
        inner = above[:depth]
        above = [*inner, name.strip().partition(".")[0]]
        if above[-1] != package and inner and set(inner) == {package}:
            found.append((int(microseconds) / 1e3, name.strip()))
    return sorted(found, reverse=True)


async def slowest_imports() -> list[tuple[float, str]]:
    """The slowest modules that ckptstore brings in."""
    _, errors = await python("-X", "importtime", "-c", f"{_LANGGRAPH}; print('{_MARK}', file=sys.stderr); import ckptstore")
    lines = errors.partition(_MARK)[2].splitlines()
    return outermost([line for line in lines if line.startswith("import time:")], "ckptstore")[:SLOWEST]


async def first_puts(name: str, urls: Sequence[str]) -> list[float]:
    """Milliseconds until the first put on each of these empty databases."""
    times = []
    for url in urls:
        started = time.perf_counter()
        async with CONNECT[name](url) as saver:
            await HandMade(saver, "first").put(**values_of(0))
            times.append((time.perf_counter() - started) * 1e3)
    return times


async def lap(contender: Contender) -> list[float]:
    """The first put of a process, and the first one on another database."""
    async with contender.fresh_database() as first, contender.fresh_database() as second:
        (times,) = await in_fresh_processes(partial(first_puts, contender.name, [first, second]))
    return times


async def run(bench: Bench) -> list[Table]:
    """Measure imports, then puts."""
    imports = bench.table("cold start, s")
    imports.add("import beyond LangGraph's own", await bench.interleaved(partial(import_seconds, runs=bench.size(5, 1))))
    for milliseconds, module in await slowest_imports():
        imports.note(f"{milliseconds:5.0f} ms of `import ckptstore`, traced: {module} and what it imports")

    on_disk = bench.among([contender for contender in bench.contenders if contender.name != IN_MEMORY])
    puts = on_disk.table("from the constructor to the first put, ms")
    laps = await on_disk.interleaved(lap)
    puts.add("first in its process", {name: [first for first, _ in each] for name, each in laps.items()})
    puts.add("on another database", {name: [second for _, second in each] for name, each in laps.items()})
    return [imports, puts]
