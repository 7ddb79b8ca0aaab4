"""What became of a contender under a fault, and the tables of it."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """A contender under a fault.

    Args:
        fault: its title.
        contender: its name.
        times: how often the fault was made.
        acknowledged: puts of checkpoints and of tasks' writes that the saver said it had.
        lost: how many of these were not there afterwards, or not whole.
        wrong: checkpoints that nobody had put, or that differed from what was put.
        unsound: whether SQLite's `PRAGMA integrity_check` found something.
        hung: how often not every task went on within the bound, or a saver would not close or be read.
        misread: of a damaged file: how many times every read was right, or one was refused, lacked something, or was wrong; raw: refused by
            another error than the saver's own.
        failed: calls that raised, by the class of the error.
        soonest: for each time, seconds until the first acknowledged checkpoint.
        slowest: for each time, seconds until every task had one.
    """

    fault: str
    contender: str
    times: int = 0
    acknowledged: int = 0
    lost: int = 0
    wrong: int = 0
    unsound: bool = False
    hung: int = 0
    misread: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    soonest: list[float] = field(default_factory=list)
    slowest: list[float] = field(default_factory=list)

    def went_on(self, seconds: Sequence[float], tasks: int) -> bool:
        """Take in how soon each of so many tasks went on; returns whether all of them did."""
        self.times += 1
        self.soonest += seconds[:1]
        if len(seconds) == tasks:
            self.slowest.append(seconds[-1])
            return True
        self.hung += 1
        return False

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost or wrong, nothing hung, and no raw error was raised. Of a damaged file a part may be missing."""
        return not (self.lost or self.wrong or self.unsound or self.hung or self.misread["wrong"] or self.misread["raw"])


_COUNTED = ("times", "acknowledged", "lost", "wrong", "hung")
_HEADER = ("fault", "saver", *_COUNTED, "next put, s", "every task, s", "calls that failed")
_MISREAD = ("right", "refused", "raw", "missing", "wrong")
_DAMAGED = ("fault", "saver", "times", *_MISREAD, "hung")


def _seconds(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} / {max(values):.2f}" if values else "-"


def _failed(failed: Counter[str]) -> str:
    named = ", ".join(name for name, _ in failed.most_common(3))
    return f"{failed.total():,} ({named})" if failed else "0"


def _cells(outcome: Outcome) -> list[str]:
    counts = [f"{getattr(outcome, name):,}" for name in _COUNTED]
    if outcome.unsound:
        counts[2] += ", file damaged"
    return [outcome.fault, outcome.contender, *counts, _seconds(outcome.soonest), _seconds(outcome.slowest), _failed(outcome.failed)]


def _damaged_cells(outcome: Outcome) -> list[str]:
    counts = [outcome.times, *(outcome.misread[name] for name in _MISREAD), outcome.hung]
    return [outcome.fault, outcome.contender, *(f"{count:,}" for count in counts)]


def tables(outcomes: Sequence[Outcome]) -> str:
    """Everything, in Markdown; seconds are median / worst."""
    live = [_cells(outcome) for outcome in outcomes if not outcome.misread]
    damaged = [_damaged_cells(outcome) for outcome in outcomes if outcome.misread]
    return "\n\n".join(_markdown([header, *rows]) for header, rows in ((_HEADER, live), (_DAMAGED, damaged)) if rows)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    header, *others = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *others))
