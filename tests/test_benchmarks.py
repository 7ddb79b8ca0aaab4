"""The benchmarks run from end to end, say who takes part, and report a section that fails. No figure is looked at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main, name_of, title_of
from benchmarks.bench import Bench, Scale
from benchmarks.report import Table
from benchmarks.sections import SECTIONS

CHECKOUT = Path(__file__).parent.parent
ROWS = (
    "1 task ",
    "50 tasks",
    "turns/s",
    "bytes stored / final state",
    "with / without",
    "objects outside the database",
    "aget_tuple",
    "two common tags, 100 hits",
    "50 threads of a user",
    "with / without tags",
    "% of the plain file",
    "reading it with a new saver",
    "put p99 beside",
    "day 90 / day 30",
    "one text: put / serialising",
)


class Failing:
    """A section that can't be measured."""

    __name__ = "benchmarks.sections.failing"

    async def run(self, bench: Bench) -> list[Table]:
        raise RuntimeError("no disk")


class Counting:
    """A section that measures nothing but the order of its laps."""

    __name__ = "benchmarks.sections.counting"

    def __init__(self) -> None:
        self.laps: list[str] = []

    async def run(self, bench: Bench) -> list[Table]:
        async def lap(contender: object) -> float:
            self.laps.append(contender.name)  # type: ignore[attr-defined]
            return len(self.laps)

        table = bench.table("laps")
        table.add("number", await bench.interleaved(lap))
        return [table]


def test_every_section_runs_on_sqlite(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--smoke", "--verbose", "--postgres", "none"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("== ")] == [
        f"== {name_of(section)}: {title_of(section)}" for section in SECTIONS
    ]
    assert all(f"\n{row}" in done.stdout for row in ROWS), done.stdout
    assert "AsyncPostgresSaver: no" in done.stdout
    for header in ("steps/s", "chat of", "put beside", "the upload through", "thread of"):
        (line,) = (line for line in done.stdout.splitlines() if line.startswith(header))
        assert line.index("InMemorySaver") < line.index("ckptstore SQLite")


def test_laps_of_the_contenders_take_turns(capsys: pytest.CaptureFixture[str]) -> None:
    counting = Counting()
    assert main(["--laps", "2", "--postgres", "none"], [counting]) == 0
    half = len(counting.laps) // 2
    assert half >= 2
    assert counting.laps[:half] == counting.laps[half:]
    assert len(set(counting.laps)) == half
    assert "laps" in capsys.readouterr().out


def test_a_section_that_fails_is_named_and_the_others_run(capsys: pytest.CaptureFixture[str]) -> None:
    counting = Counting()
    assert main(["--laps", "1", "--postgres", "none"], [Failing(), counting]) == 1
    output = capsys.readouterr()
    assert "1 of 2 sections failed: failing" in output.out
    assert "no disk" in output.err
    assert counting.laps


def test_an_unknown_section_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["sepeds"])
    assert stopped.value.code == 2
    assert "unknown section 'sepeds'; known are steps, chat, upload, read, tags, store" in capsys.readouterr().err


@pytest.mark.parametrize("sizes", [("--smoke", "--quick"), ("--smoke", "--full"), ("--quick", "--full")])
def test_two_sizes_at_once_are_refused(sizes: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(sizes)
    assert stopped.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


def test_each_size_measures_as_much_as_it_says() -> None:
    def sizes(**given: int) -> list[int]:
        return [Bench([], laps=1, scale=scale, verbose=False).size(1_000, 5, **given) for scale in Scale]

    assert sizes() == [5, 100, 1_000, 1_000]
    assert sizes(quick=300, full=9_000) == [5, 300, 1_000, 9_000]
    assert Bench([], laps=1, scale=Scale.QUICK, verbose=False).size(10, 4) == 4


def test_a_gain_is_more_of_what_is_good_and_less_of_what_is_not() -> None:
    table = Table("title", ["AsyncSqliteSaver", "ckptstore SQLite"])
    table.add("steps/s", {"AsyncSqliteSaver": [1, 2, 90], "ckptstore SQLite": [6]}, more_is_better=True)
    table.add("ms", {"AsyncSqliteSaver": [8], "ckptstore SQLite": [2]})
    table.add("rows", {"AsyncSqliteSaver": [8], "ckptstore SQLite": [None]})
    lines = [line.split() for line in str(table).splitlines()]
    assert [line[-3:] for line in lines[1:]] == [["2", "6", "3.00x"], ["8", "2", "4.00x"], ["8", "-", "-"]]
