"""What the commands that show data share: tables for a terminal, JSON for programs, and times and sizes as people read them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ckptstore.langgraph.structure.as_text import printable

Command = TypeVar("Command", bound=Callable[..., Any])

_GAP = 2
_LEAST_WIDTH = 8
_LEAST_FOLDED = 24
# Where the output is no terminal, and $COLUMNS does not say.
_REDIRECTED_WIDTH = 140

#: Added to a command that prints JSON instead of tables.
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


class Column(NamedTuple):
    """A column of a table."""

    title: str
    #: Numbers stand at the right.
    right: bool = False
    #: Whether its texts are cut where the terminal is narrow; those of other columns never are.
    cut: bool = False
    #: Whether texts that are wider than the terminal continue in the next line of the column, so that they can be read whole.
    folded: bool = False


def console() -> Console:
    """The terminal, or where the output is redirected to, as it is when the command runs."""
    terminal = sys.stdout.isatty() or "COLUMNS" in os.environ
    # Without markup and highlighting: what is printed comes from a database.
    return Console(markup=False, highlight=False, emoji=False, width=None if terminal else _REDIRECTED_WIDTH)


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print a table. Texts are made printable; a `Text` is printed as it is."""
    cells = [[cell if isinstance(cell, Text) else Text(printable(cell)) for cell in row] for row in rows]
    out = console()
    widths = _widths(columns, cells, out.width)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column.title, width=width, justify="right" if column.right else "left", no_wrap=not column.folded, overflow="fold")
    for row in cells:
        for column, cell, width in zip(columns, row, widths, strict=True):
            if not column.folded:
                cell.truncate(width, overflow="ellipsis")
        table.add_row(*row)
    # A line that is wider than the terminal continues in the next one, where a table would lose what does not fit.
    out.width = max(out.width, sum(widths) + _GAP * len(columns))
    with out.capture() as captured:
        out.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int) -> list[int]:
    """The width of each column: of its longest text, less where it may be cut or folded and the terminal is narrow."""
    widths = [max([cell_len(column.title), *[row[number].cell_len for row in rows]]) for number, column in enumerate(columns)]
    excess = sum(widths) + _GAP * (len(columns) - 1) - width
    for number, column in enumerate(columns):
        if (column.cut or column.folded) and excess > 0:
            least = _LEAST_FOLDED if column.folded else _LEAST_WIDTH
            less = max(0, min(excess, widths[number] - max(least, cell_len(column.title))))
            widths[number], excess = widths[number] - less, excess - less
    return widths


def print_lines(lines: Iterable[str]) -> None:
    """Print lines as they are, however long."""
    for line in lines:
        click.echo(line)


def print_json(shown: Any) -> None:
    """Print one JSON document, in ASCII: nothing in it can control a terminal."""
    click.echo(json.dumps(shown, indent=2, allow_nan=False, default=_as_text))


def _as_text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} in JSON")


def moment(time: datetime) -> str:
    """A time in UTC, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def count(number: int) -> str:
    """A number with commas."""
    return f"{number:,}"
