"""What a benchmark prints and writes, and how its laps are taken."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.bench import Bench, Scale
from benchmarks.charts import draw_lines, medians
from benchmarks.record import as_typed
from benchmarks.report import Table
from benchmarks.sections.start import outermost


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
    assert "unknown section 'sepeds'; known are steps, " in capsys.readouterr().err


@pytest.mark.parametrize("sizes", [("--smoke", "--quick"), ("--smoke", "--full"), ("--quick", "--full")])
def test_two_sizes_at_once_are_refused(sizes: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(sizes)
    assert stopped.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


def test_each_size_measures_as_much_as_its_name_means() -> None:
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


def test_a_table_keeps_what_it_prints() -> None:
    table = Table("title", ["AsyncSqliteSaver", "ckptstore SQLite", "InMemorySaver"])
    table.add("steps/s", {"AsyncSqliteSaver": [1.23456, 2, None], "ckptstore SQLite": [123_456, 123_412], "InMemorySaver": [None]})
    table.add("rows", {"ckptstore SQLite": [0]}, more_is_better=None)
    table.note("a note")
    assert table.to_dict() == {
        "title": "title",
        "notes": ["a note"],
        "rows": [
            {
                "label": "steps/s",
                "more_is_better": False,
                "figures": {
                    "AsyncSqliteSaver": {"median": 1.617, "laps": [1.235, 2]},
                    "ckptstore SQLite": {"median": 123_400, "laps": [123_500, 123_400]},
                },
                "gains": {"SQLite": 1.31e-05},
            },
            {"label": "rows", "more_is_better": None, "figures": {"ckptstore SQLite": {"median": 0, "laps": [0]}}, "gains": {}},
        ],
    }


def test_results_are_written_for_a_diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--laps", "2", "--postgres", "none", "--results", str(tmp_path / "new")], [Failing(), Counting()]) == 1
    (path,) = (tmp_path / "new").iterdir()
    written = path.read_text(encoding="utf-8")
    record = json.loads(written)
    assert path.name == "counting.json"
    assert written == json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    assert list(record) == ["date", "command", "size", "laps", "environment", "seconds", "peak_rss_mb_so_far", "tables"]
    assert (record["size"], record["laps"]) == ("normal", 2)
    assert "peak memory of the run so far: " in capsys.readouterr().out


@pytest.mark.parametrize("url", ["postgresql://me:s3:cr@t@db/name?ssl=require", "postgresql://me@db/name?password=s3:cr@t&ssl=require"])
def test_a_password_is_not_written(url: str) -> None:
    for arguments in (["tags", "--postgres", url], ["tags", f"--postgres={url}"]):
        typed = as_typed(arguments)
        assert typed.startswith("python -m benchmarks tags")
        assert "cr@t" not in typed
        assert "me" in typed
        assert "ssl=require" in typed


@pytest.mark.parametrize("logarithmic", ["", "x", "xy"])
def test_a_chart_is_drawn(tmp_path: Path, logarithmic: str) -> None:
    path = tmp_path / "new" / "chart.png"
    draw_lines(path, "title", ("tasks", "ms"), {"many": [(1, 0.5), (10, 30), (50, 2_000)], "one": [(10, 4)]}, logarithmic)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_a_run_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    draw_lines(tmp_path / "chart.png", "title", ("tasks", "ms"), {"line": [(1, 2)]})
    assert capsys.readouterr().out == "chart.png is not drawn: matplotlib is not installed\n"
    assert not list(tmp_path.iterdir())


def test_a_line_has_a_point_where_its_contender_was_measured() -> None:
    laps: dict[int, dict[str, list[float | None]]] = {10: {"ours": [1, 9, 2], "theirs": [5]}, 50: {"ours": [3], "theirs": [None]}}
    assert medians(laps) == {"ours": [(10, 2), (50, 3)], "theirs": [(10, 5)]}


def test_an_import_belongs_to_the_module_of_ours_that_needs_it() -> None:
    lines = """
        import time:  self | cumulative |       imported package
        import time:     1 |       9000 |     far.inner
        import time:     1 |      10000 |   far
        import time:     1 |        300 |     near
        import time:     1 |        500 |   ours.part
        import time:     1 |      11000 | ours
    """.strip().splitlines()[1:]
    assert outermost(lines, "ours") == [(10.0, "far"), (0.3, "near")]
