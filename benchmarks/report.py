"""Plain-text tables: a row for each measurement, a column for each contender, and what ckptstore gains over its counterpart."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.contenders import ASYNC_POSTGRES, ASYNC_SQLITE, CKPTSTORE_POSTGRES, CKPTSTORE_SQLITE, SQLITE

# Column -> ckptstore, and the official saver on the same database.
_PAIRS = {
    "SQLite": (CKPTSTORE_SQLITE, ASYNC_SQLITE),
    "SQLite, synchronous": (CKPTSTORE_SQLITE, SQLITE),
    "PostgreSQL": (CKPTSTORE_POSTGRES, ASYNC_POSTGRES),
}


def number(value: float) -> str:
    """Three digits that count; whole numbers as they are."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}"


def rounded(value: float) -> float:
    """Four digits that count: of two runs, fewer lines of JSON differ, and by less."""
    digits = float(f"{value:.4g}")
    return int(digits) if digits.is_integer() else digits


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of columns: the first flush left, the others flush right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]


@dataclass(frozen=True)
class Row:
    """One measurement.

    Args:
        label: what, and its unit.
        more_is_better: which way a gain goes; None for a row that has none.
        laps: every figure, by contender; who has none is not in it.
        pairs: by column of gains, ckptstore and its counterpart.
    """

    label: str
    more_is_better: bool | None
    laps: Mapping[str, Sequence[float]]
    pairs: Mapping[str, tuple[str, str]]

    @property
    def medians(self) -> dict[str, float]:
        """By contender."""
        return {name: statistics.median(laps) for name, laps in self.laps.items()}

    @property
    def gains(self) -> dict[str, float]:
        """How many times better ckptstore is, by column, where both have a figure other than 0."""
        medians = self.medians
        both = {column: (medians.get(ours), medians.get(theirs)) for column, (ours, theirs) in self.pairs.items()}
        return {
            column: ours / theirs if self.more_is_better else theirs / ours
            for column, (ours, theirs) in both.items()
            if self.more_is_better is not None and ours and theirs
        }

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        figures = {
            name: {"median": rounded(median), "laps": [rounded(lap) for lap in self.laps[name]]} for name, median in self.medians.items()
        }
        gains = {column: rounded(gain) for column, gain in self.gains.items()}
        return {"label": self.label, "more_is_better": self.more_is_better, "figures": figures, "gains": gains}


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
        self._rows: list[Row] = []

    def add(self, label: str, laps: Mapping[str, Sequence[float | None]], *, more_is_better: bool | None = False) -> None:
        """A row of medians.

        Args:
            label: what, and its unit.
            laps: by contender; one that is absent, or whose laps are None, has no figure here.
            more_is_better: which way a gain goes; None for a row that has none.
        """
        seen = {name: [lap for lap in laps.get(name, ()) if lap is not None] for name in self.names}
        self._rows.append(Row(label, more_is_better, {name: values for name, values in seen.items() if values}, self._pairs))

    def note(self, line: str) -> None:
        """A line beneath the table."""
        self.notes.append(line)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"title": self.title, "notes": self.notes, "rows": [row.to_dict() for row in self._rows]}

    def __str__(self) -> str:
        """The whole table."""
        header = [self.title, *self.names, *(f"gain, {column}" for column in self._pairs)]
        lines = align([header, *map(self._cells, self._rows)]) if self._rows else [self.title]
        laps = [f"  lap by lap: {line}" for row in self._rows for line in _lap_by_lap(row)] if self.verbose else []
        return "\n".join([*lines, *laps, *(f"  {note}" for note in self.notes)])

    def _cells(self, row: Row) -> list[str]:
        medians, gains = row.medians, row.gains
        figures = [number(medians[name]) if name in medians else "-" for name in self.names]
        return [row.label, *figures, *(f"{gains[column]:,.2f}x" if column in gains else "-" for column in self._pairs)]


def _lap_by_lap(row: Row) -> list[str]:
    return [f"{row.label}, {name}: {'  '.join(map(number, laps))}" for name, laps in row.laps.items() if len(laps) > 1]
