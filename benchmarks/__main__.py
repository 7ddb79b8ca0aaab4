"""The command: `python -m benchmarks [SECTION ...] [--smoke | --quick | --full] [--laps N] [--postgres URL] [--results FOLDER]`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import command_line
from benchmarks.bench import Bench, Scale, Section
from benchmarks.command_line import description_of, name_of
from benchmarks.contenders import contenders
from benchmarks.layouts import CITUS_URL_VARIABLE, PARTS, layouts
from benchmarks.machine import describe, describe_postgres, peak_rss_mb
from benchmarks.record import as_typed, write_record
from benchmarks.sections import SECTIONS
from benchmarks.servers import postgres

# Without any of these a run is of normal size: a quarter of an hour.
_SCALES = {
    Scale.SMOKE: "everything tiny and one lap: to see that it works",
    Scale.QUICK: "a tenth of most things and one lap: two minutes for a first impression",
    Scale.FULL: "tables of a million checkpoints in `tags`, 200,000 in `bounded`: it takes half an hour and more",
}


def parser(sections: Sequence[Section]) -> argparse.ArgumentParser:
    """The command line."""
    description = "ckptstore beside LangGraph's own savers, in one run. Laps are interleaved, medians are printed."
    made = command_line.parser("python -m benchmarks", description, "section", sections, _SCALES, Scale.NORMAL)
    made.add_argument("--laps", type=int, metavar="N", help="how often each contender is measured (default: 3; smoke and quick: 1)")
    made.add_argument("--results", type=Path, metavar="FOLDER", help="write figures there as JSON, and charts as PNG (default: nowhere)")
    made.add_argument(
        "--layouts",
        action="store_true",
        help=f"also ckptstore on {PARTS} partitions and, where {CITUS_URL_VARIABLE} names a cluster, on {PARTS} shards of Citus",
    )
    made.add_argument("--verbose", action="store_true", help="every lap, and the bytes of every table and index")
    return made


async def run_section(section: Section, bench: Bench, about: Mapping[str, Any]) -> bool:
    """Measure, print and write one section; whether it went through."""
    print(f"\n== {name_of(section)}: {description_of(section)}", flush=True)
    started = time.perf_counter()
    try:
        tables = await section.run(bench)
        seconds, peak = time.perf_counter() - started, peak_rss_mb()
        for table in tables:
            print(f"\n{table}")
        if bench.results:
            write_record(bench.results / f"{name_of(section)}.json", about, tables, seconds, peak)
    except Exception:
        traceback.print_exc()
        print(f"section {name_of(section)} failed", flush=True)
        return False
    print(f"\n({seconds:.0f} s; peak memory of the run so far: {f'{peak:.0f} MB' if peak else 'unknown'})", flush=True)
    return True


async def run(chosen: Sequence[Section], options: argparse.Namespace, command: str, postgres_url: str | None) -> list[str]:
    """Print what takes part, then each section.

    Args:
        chosen: what to measure.
        options: of the command line.
        command: the line itself, for whoever reads the results.
        postgres_url: a server where databases may be created, or None.

    Returns:
        The names of the sections that failed.
    """
    present, absent = contenders(postgres_url)
    if options.layouts:
        present += layouts(postgres_url)
    environment = {**describe(), "PostgreSQL": await describe_postgres(postgres_url)}
    lines = [f"{label:10}  {text}" for label, text in environment.items()]
    lines += [f"{name}: {reason}" for name, reason in absent.items()]
    print("\n".join(lines), flush=True)
    laps = options.laps or (1 if options.size in {Scale.SMOKE, Scale.QUICK} else 3)
    bench = Bench(present, laps=laps, scale=options.size, verbose=options.verbose, results=options.results)
    about = {"command": command, "size": options.size.value, "laps": laps, "environment": environment}
    return [name_of(section) for section in chosen if not await run_section(section, bench, about)]


def main(arguments: Sequence[str] | None = None, sections: Sequence[Section] = SECTIONS) -> int:
    """Run the command; returns its exit code: 0, or 1 when a section failed."""
    command = parser(sections)
    options = command.parse_args(arguments)
    chosen = command_line.chosen(command, options.names, "section", sections)
    if options.laps is not None and options.laps < 1:
        command.error(f"--laps must be at least 1, got {options.laps}")
    typed = as_typed(sys.argv[1:] if arguments is None else arguments)
    with postgres(options.postgres) as postgres_url:
        failed = asyncio.run(run(chosen, options, typed, postgres_url))
    if failed:
        print(f"\n{len(failed)} of {len(chosen)} sections failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
