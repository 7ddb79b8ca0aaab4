"""Plain-text tables: a row for each measurement, a column for each contender, and what ckptstore gains over its counterpart."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from benchmarks.contenders import ASYNC_POSTGRES, ASYNC_SQLITE, CKPTSTORE_POSTGRES, CKPTSTORE_SQLITE

# Column -> ckptstore, and the official saver on the same database.
_PAIRS = {
    "SQLite": (CKPTSTORE_SQLITE, ASYNC_SQLITE),
    "PostgreSQL": (CKPTSTORE_POSTGRES, ASYNC_POSTGRES),
}


def number(value: float) -> str:
    """Three digits that count; whole numbers as they are."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}"


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of columns: the first flush left, the others flush right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]


class Table:
    """Measurements of contenders.

    Args:
        title: what was measured.
        names: the contenders, in the order of their columns.
        verbose: print every lap beneath.
    """

    def __init__(self, title: str, names: Sequence[str], verbose: bool = False) -> None:
        self.title = title
        self.names = names
        self.verbose = verbose
        self.notes: list[str] = []
        self._pairs = {column: pair for column, pair in _PAIRS.items() if set(pair) <= set(names)}
        self._rows: list[list[str]] = []
        self._laps: list[str] = []

    def add(self, label: str, laps: Mapping[str, Sequence[float | None]], *, more_is_better: bool | None = False) -> None:
        """A row of medians.

        Args:
            label: what, and its unit.
            laps: by contender; one that is absent, or whose laps are None, has no figure here.
            more_is_better: which way a gain goes; None for a row that has none.
        """
        seen = {name: [lap for lap in laps.get(name, ()) if lap is not None] for name in self.names}
        medians = {name: statistics.median(values) for name, values in seen.items() if values}
        gains = [_gain(medians.get(ours), medians.get(theirs), more_is_better) for ours, theirs in self._pairs.values()]
        self._rows.append([label, *(number(medians[name]) if name in medians else "-" for name in self.names), *gains])
        self._laps += [f"{label}, {name}: {'  '.join(map(number, values))}" for name, values in seen.items() if len(values) > 1]

    def note(self, line: str) -> None:
        """A line beneath the table."""
        self.notes.append(line)

    def __str__(self) -> str:
        """The whole table."""
        header = [self.title, *self.names, *(f"gain, {column}" for column in self._pairs)]
        lines = align([header, *self._rows]) if self._rows else [self.title]
        laps = [f"  lap by lap: {line}" for line in self._laps] if self.verbose else []
        return "\n".join([*lines, *laps, *(f"  {note}" for note in self.notes)])


def _gain(ours: float | None, theirs: float | None, more_is_better: bool | None) -> str:
    if more_is_better is None or not ours or not theirs:
        return "-"
    return f"{ours / theirs if more_is_better else theirs / ours:,.2f}x"
