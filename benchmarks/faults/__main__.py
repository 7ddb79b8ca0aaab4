"""The command: `python -m benchmarks.faults [FAULT ...] [--quick] [--seed N] [--bound SECONDS] [--postgres URL] [--write FILE]`."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import command_line
from benchmarks.command_line import description_of
from benchmarks.contenders import IN_MEMORY, OURS, Contender, contenders
from benchmarks.faults.kinds import FAULTS
from benchmarks.faults.lab import Fault, Lab, Size, trial
from benchmarks.faults.outcome import Outcome, tables
from benchmarks.faults.server import server
from benchmarks.machine import describe, describe_postgres
from benchmarks.record import as_typed

_SIZES = {Size.SMOKE: "once or twice, to see that it works", Size.QUICK: "about a minute"}
#: Between these lines a document has the newest results.
_BEGIN, _END = "<!-- written by `make faults` -->", "<!-- end of what `make faults` wrote -->"


def title_of(fault: Fault) -> str:
    """What stands before the colon in the first line of its docstring."""
    return description_of(fault).partition(":")[0]


def parser(faults: Sequence[Fault]) -> argparse.ArgumentParser:
    """The command line."""
    description = "What is done to ckptstore and to LangGraph's own savers, what is lost, and how soon they go on."
    made = command_line.parser("python -m benchmarks.faults", description, "fault", faults, _SIZES, Size.NORMAL)
    made.add_argument("--seed", type=int, metavar="N", help="repeats the moments and places of a run (default: a new one, printed)")
    made.add_argument("--bound", type=float, metavar="SECONDS", help="who does not go on for so long hangs (default: 30; quick: 10)")
    made.add_argument("--write", type=Path, metavar="FILE", help="put the results into this document, in place of the last ones")
    return made


class Progress:
    """Says on standard error how far a run is."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, outcome: Outcome) -> None:
        """After each time; only a terminal is told, since the line is replaced."""
        if sys.stderr.isatty():
            print(f"\r{self._line(outcome)}", end="", file=sys.stderr, flush=True)

    def finished(self, outcome: Outcome) -> None:
        """After the last time."""
        print(f"{chr(13) if sys.stderr.isatty() else ''}{self._line(outcome)}", file=sys.stderr, flush=True)

    def _line(self, outcome: Outcome) -> str:
        state = f"{outcome.times} times, lost {outcome.lost}, wrong {outcome.wrong}, hung {outcome.hung}"
        return f"{time.monotonic() - self._started:4.0f} s  {outcome.fault[:60]}: {outcome.contender}: {state}"


def run(lab: Lab, faults: Sequence[Fault], present: Sequence[Contender], progress: Progress) -> list[Outcome]:
    """Each fault, for each contender that it concerns."""
    outcomes = []
    for fault in faults:
        for contender in present:
            if fault.concerns(lab, contender):
                with trial(lab, contender, title_of(fault)) as made:
                    fault.run(made)
                outcomes.append(made.outcome)
                progress.finished(made.outcome)
    return outcomes


def document(about: dict[str, str], outcomes: Sequence[Outcome]) -> str:
    """The results in Markdown, with what they were measured on."""
    listed = "\n".join(f"- {label}: {text}" for label, text in about.items())
    return f"{listed}\n\n{tables(outcomes)}"


def replaced(text: str, results: str) -> str:
    """A document with these results between its two marks."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n\n{results}\n\n{_END}{after}"


def main(arguments: Sequence[str] | None = None, faults: Sequence[Fault] = FAULTS) -> int:
    """Run the command; returns its exit code: 0, or 1 where ckptstore lost something, was wrong or hung."""
    command = parser(faults)
    options = command.parse_args(arguments)
    chosen = command_line.chosen(command, options.names, "fault", faults)
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    started, progress = time.monotonic(), Progress()
    with server(options.postgres) as postgres:
        url = postgres.url if postgres else None
        present, absent = contenders(url)
        about = {
            "command": as_typed(sys.argv[1:] if arguments is None else arguments).replace("benchmarks", "benchmarks.faults", 1),
            "seed": str(seed),
            "date": datetime.now(UTC).isoformat(timespec="minutes"),
            **describe(),
            "PostgreSQL": asyncio.run(describe_postgres(url)),
            **absent,
        }
        print("\n".join(f"{label:10}  {text}" for label, text in about.items()), flush=True)
        bound = options.bound or (30.0 if options.size is Size.NORMAL else 10.0)
        lab = Lab(options.size, seed, bound, server=postgres, progress=progress)
        outcomes = run(lab, chosen, [contender for contender in present if contender.name != IN_MEMORY], progress)
    about["duration"] = f"{time.monotonic() - started:.0f} s"
    print(f"\n{tables(outcomes)}\n\n({about['duration']})")
    if options.write:
        options.write.write_text(replaced(options.write.read_text(encoding="utf-8"), document(about, outcomes)), encoding="utf-8")
    return 0 if all(outcome.is_clean for outcome in outcomes if outcome.contender in OURS) else 1


if __name__ == "__main__":
    sys.exit(main())
