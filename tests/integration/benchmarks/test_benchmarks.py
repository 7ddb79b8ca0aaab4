"""The benchmarks run from end to end, say who takes part, and report a section that fails. No figure is looked at."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main, name_of, title_of
from benchmarks.bench import Bench, Scale
from benchmarks.charts import draw_lines, medians
from benchmarks.contenders import ASYNC_SQLITE, CKPTSTORE_SQLITE, Contender, contenders
from benchmarks.link import address_of, slow_link, through
from benchmarks.record import as_typed
from benchmarks.report import Table
from benchmarks.sections import SECTIONS
from benchmarks.sections.processes import Work, count_lost, try_steps
from benchmarks.sections.start import outermost
from benchmarks.workload import HandMade

CHECKOUT = Path(__file__).parents[3]
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
    "aput_writes, p99",
    "through a proxy, 1 ms each way, steps/s",
    "acknowledged writes lost",
    "import beyond LangGraph's own",
    "first in its process",
    "RSS after tenth 10, MB",
    "p99 beside, ms",
    "of reading it back",
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


@pytest.mark.timeout(300)
def test_every_section_runs_on_sqlite(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--smoke", "--verbose", "--postgres", "none", "--results", "results"]
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
    assert_recorded(tmp_path / "results", done.stdout)


def assert_recorded(folder: Path, printed: str) -> None:
    """Every section left a file, and these hold the rows that were printed."""
    records = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
    assert records.keys() == {name_of(section) for section in SECTIONS}
    for record in records.values():
        assert record["command"] == "python -m benchmarks --smoke --verbose --postgres none --results results"
        assert (record["size"], record["laps"]) == ("smoke", 1)
        assert record["environment"]["PostgreSQL"] == "none"
        assert datetime.fromisoformat(record["date"]).utcoffset() == timedelta(0)
        assert record["seconds"] > 0
        assert all(f"\n{label:10}  {text}\n" in f"\n{printed}" for label, text in record["environment"].items())
    peaks = [records[name_of(section)]["peak_rss_mb_so_far"] for section in SECTIONS]
    assert peaks[0] > 0
    assert peaks == sorted(peaks)
    tables = [table for record in records.values() for table in record["tables"]]
    rows = [row for table in tables for row in table["rows"]]
    lines = [*(table["title"] for table in tables), *(row["label"] for row in rows)]
    assert all(f"\n{line}" in printed for line in lines)
    assert all(any(f"{line} ".startswith(wanted) for line in lines) for wanted in ROWS)
    assert {path.name for path in folder.glob("*.png")} == {"steps.png", "chat.png", "tags.png", "bounded.png"}


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


def test_without_matplotlib_a_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    draw_lines(tmp_path / "chart.png", "title", ("tasks", "ms"), {"line": [(1, 2)]})
    assert capsys.readouterr().out == "chart.png is not drawn: matplotlib is not installed\n"
    assert not list(tmp_path.iterdir())


def test_a_line_has_a_point_where_its_contender_was_measured() -> None:
    laps = {10: {"ours": [1, 9, 2], "theirs": [5]}, 50: {"ours": [3], "theirs": [None]}}
    assert medians(laps) == {"ours": [(10, 2), (50, 3)], "theirs": [(10, 5)]}


async def test_a_link_delays_both_directions_and_keeps_the_order() -> None:
    heard = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            heard.append(line)
            writer.write(line)
        # Only once the other side has said that it is done: the link has to hand on that one direction has ended.
        writer.write(b"the end\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server, slow_link(server.sockets[0].getsockname(), 0.05) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        started = time.monotonic()
        writer.write(b"0\n")
        assert await reader.readline() == b"0\n"
        assert time.monotonic() - started >= 0.1
        sent = [b"%d\n" % number for number in range(1, 5_000)]
        for line in sent:
            writer.write(line)
            await writer.drain()
        writer.write_eof()
        assert (await reader.read()).splitlines(keepends=True) == [*sent, b"the end\n"]
        assert heard == [b"0\n", *sent]
        writer.close()


def test_a_link_takes_the_place_of_a_server_in_its_url() -> None:
    on_socket, on_tcp = "postgresql://postgres:@/bench?host=/tmp/server&application_name=a", "postgresql://me:secret@db:6543/bench"
    assert address_of(on_socket) == "/tmp/server/.s.PGSQL.5432"
    assert address_of(on_tcp) == ("db", 6543)
    assert through(on_socket, 7000) == "postgresql://postgres:@127.0.0.1:7000/bench?application_name=a"
    assert through(on_tcp, 7000) == "postgresql://me:secret@127.0.0.1:7000/bench"


def on_sqlite(name: str) -> Contender:
    present, _ = contenders(None)
    return next(contender for contender in present if contender.name == name)


@pytest.mark.parametrize(
    ("name", "checkpoints", "writes"), [(ASYNC_SQLITE, "checkpoints", "writes"), (CKPTSTORE_SQLITE, "ckpt_checkpoint", "ckpt_write")]
)
async def test_what_was_acknowledged_and_is_lost_is_counted(name: str, checkpoints: str, writes: str) -> None:
    contender, work = on_sqlite(name), Work()
    async with contender.fresh_database() as url:
        async with contender.connect(url) as saver:
            for thread in ("first", "second"):
                await try_steps(HandMade(saver, thread), 3, work)
            assert await count_lost(saver, [work]) == (0, 0)
        with closing(sqlite3.connect(url)) as connection:
            connection.execute(f"DELETE FROM {checkpoints} WHERE checkpoint_id = ?", (work.puts[-1].checkpoint_id,))
            connection.execute(f"DELETE FROM {writes} WHERE checkpoint_id IN (?, ?)", [put.checkpoint_id for put in work.puts[:2]])
            connection.commit()
        async with contender.connect(url) as saver:
            # Nobody finds the writes of a checkpoint that is gone.
            assert await count_lost(saver, [work]) == (1, 3)


async def test_a_step_that_fails_is_counted_and_the_next_one_taken() -> None:
    work = Work()
    async with on_sqlite(ASYNC_SQLITE) as contender:
        put, failures = contender.saver.aput, [TimeoutError()]

        async def fail_once(*arguments: Any) -> Any:
            if failures:
                raise failures.pop()
            return await put(*arguments)

        contender.saver.aput = fail_once  # type: ignore[method-assign]
        await try_steps(HandMade(contender.saver, "thread"), 3, work)
        assert await count_lost(contender.saver, [work]) == (0, 0)
    assert work.errors == {"TimeoutError": 1}
    assert [stored.step for stored in work.puts] == [stored.step for stored in work.writes] == [1, 2]


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
