"""The committed results in Markdown: all of them in `docs/benchmarks.md`, the ones that matter most in the README.

    python -m benchmarks.published [--check]

No figure of either is typed by hand. With `--check`, nothing is written, and the command fails if a document is not up to date.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.command_line import description_of, name_of
from benchmarks.contenders import ASYNC_POSTGRES, ASYNC_SQLITE, CKPTSTORE_POSTGRES, CKPTSTORE_SQLITE, IN_MEMORY
from benchmarks.report import number
from benchmarks.sections import SECTIONS

CHECKOUT = Path(__file__).parents[1]
#: Between these lines a document has the tables.
BEGIN, END = "<!-- written by `python -m benchmarks.published` -->", "<!-- end of what `python -m benchmarks.published` wrote -->"

_HEADLINE_CONTENDERS = (IN_MEMORY, ASYNC_SQLITE, ASYNC_POSTGRES, CKPTSTORE_SQLITE, CKPTSTORE_POSTGRES)

Record = Mapping[str, Any]


class Figure(NamedTuple):
    """A row of the README's table.

    Args:
        label: what it is called there.
        section: the section that measures it.
        title: how the title of its table begins.
        row: its label in that table.
    """

    label: str
    section: str
    title: str
    row: str


HEADLINE = (
    Figure("steps/s, 1 task", "steps", "steps/s", "1 task"),
    Figure("steps/s, 50 tasks", "steps", "steps/s", "50 tasks"),
    Figure("chat of 100 turns: bytes stored / bytes of the final state", "chat", "chat of", "bytes stored / final state"),
    Figure("one turn of a chat of 3,000 messages, ms", "long", "one turn, wall", "of 3,000 messages"),
    Figure("search by two common tags, 100 hits of 10,000 checkpoints, ms", "tags", "10,000", "two common tags, 100 hits"),
)


def records(folder: Path) -> dict[str, Record]:
    """The committed results, by section, in the order of the sections."""
    paths = {name_of(section): folder / f"{name_of(section)}.json" for section in SECTIONS}
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.exists()}


def page(found: Mapping[str, Record]) -> str:
    """Every table of every section, with what it was measured on."""
    titles = {name_of(section): description_of(section) for section in SECTIONS}
    parts = [f"## `{name}`\n\n{titles[name]}.\n\n{_about(record)}\n\n{_tables(record)}" for name, record in found.items()]
    return "\n\n".join([*parts, f"## Environments\n\n{_environments(found)}"])


def headline(found: Mapping[str, Record]) -> str:
    """The table of the README: medians, the best of the savers that store anything in bold."""
    lines = _header(["", *_HEADLINE_CONTENDERS])
    for figure in HEADLINE:
        row = _find(found, figure)
        best = _best(row)
        lines.append(_line([figure.label, *(_cell(row, name, bold=name == best) for name in _HEADLINE_CONTENDERS)]))
    dates = sorted({found[figure.section]["date"][:10] for figure in HEADLINE})
    environment = found["steps"]["environment"]
    measured = f"Medians of {found['steps']['laps']} laps, {' to '.join(dict.fromkeys((dates[0], dates[-1])))}: {environment['machine']}"
    versions = f"{environment['python']}; {environment['packages']}; PostgreSQL {environment['PostgreSQL']}."
    return "\n".join([*lines, "", f"{measured}; {versions}"])


def _find(found: Mapping[str, Record], figure: Figure) -> Mapping[str, Any]:
    tables = [table for table in found[figure.section]["tables"] if table["title"].startswith(figure.title)]
    rows = [row for table in tables for row in table["rows"] if row["label"] == figure.row]
    if len(rows) != 1:
        raise LookupError(f"{len(rows)} rows {figure.row!r} in {figure.section}")
    found_row: Mapping[str, Any] = rows[0]
    return found_row


def _best(row: Mapping[str, Any]) -> str | None:
    medians: dict[str, float] = {name: of["median"] for name, of in row["figures"].items() if name != IN_MEMORY}
    if row["more_is_better"] is None or not medians:
        return None
    choose = max if row["more_is_better"] else min
    return choose(medians, key=lambda name: medians[name])


def _about(record: Record) -> str:
    return f"`{record['command']}`, {record['date'][:10]}, size {record['size']}, laps: {record['laps']}."


def _environments(found: Mapping[str, Record]) -> str:
    sections: dict[str, list[str]] = {}
    for name, record in found.items():
        text = "\n".join(f"- {label}: {text}" for label, text in record["environment"].items())
        sections.setdefault(text, []).append(f"`{name}`")
    return "\n\n".join(f"{', '.join(names)}:\n\n{text}" for text, names in sections.items())


def _tables(record: Record) -> str:
    return "\n\n".join("\n".join(_table(table)) for table in record["tables"])


def _table(table: Mapping[str, Any]) -> list[str]:
    names = list(dict.fromkeys(name for row in table["rows"] for name in row["figures"]))
    gains = list(dict.fromkeys(column for row in table["rows"] for column in row["gains"]))
    lines = _header([table["title"], *names, *(f"gain, {column}" for column in gains)])
    for row in table["rows"]:
        of_gains = [f"{number(row['gains'][column])}x" if column in row["gains"] else "-" for column in gains]
        lines.append(_line([row["label"], *(_cell(row, name) for name in names), *of_gains]))
    return lines + [line for note in table["notes"] for line in ("", note)]


def _cell(row: Mapping[str, Any], name: str, *, bold: bool = False) -> str:
    figure = row["figures"].get(name)
    if figure is None:
        return "-"
    text = number(figure["median"])
    return f"**{text}**" if bold else text


def _header(cells: Sequence[str]) -> list[str]:
    return [_line(cells), _line(["---", *["--:"] * (len(cells) - 1)])]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def replaced(document: str, tables: str) -> str:
    """A document with these tables between its two marks."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise LookupError(f"the document has no lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}"


def documents(found: Mapping[str, Record]) -> dict[Path, str]:
    """What is written where."""
    return {CHECKOUT / "docs" / "benchmarks.md": page(found), CHECKOUT / "README.md": headline(found)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 1 when a document is not up to date."""
    command = argparse.ArgumentParser(prog="python -m benchmarks.published", description="Writes the committed results into the documents.")
    command.add_argument("--check", action="store_true", help="write nothing, and fail if a document is not up to date")
    options = command.parse_args(arguments)
    stale = []
    for path, tables in documents(records(CHECKOUT / "benchmarks" / "results")).items():
        before = path.read_text(encoding="utf-8")
        after = replaced(before, tables)
        if after != before:
            stale.append(path.name)
            if not options.check:
                path.write_text(after, encoding="utf-8")
    print(f"{'not up to date' if options.check else 'written'}: {', '.join(stale) or 'nothing'}")
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
