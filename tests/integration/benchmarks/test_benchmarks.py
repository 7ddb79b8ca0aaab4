"""The benchmarks run from end to end, say who takes part, and report a section that fails. No figure is looked at."""

from __future__ import annotations

import asyncio
import json
import pickle
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from benchmarks.__main__ import main
from benchmarks.command_line import description_of, name_of
from benchmarks.contenders import ASYNC_SQLITE, CKPTSTORE_SQLITE, Contender, contenders
from benchmarks.sections import SECTIONS, pressure, processes, start
from benchmarks.sections.processes import Work, count_lost, try_steps
from benchmarks.workload import HandMade

T = TypeVar("T")
ROWS = (
    "1 task ",
    "50 tasks",
    "10 threads, steps/s",
    "1 thread, CPU of one, ms",
    "turns/s",
    "of 12 messages",
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
    "wall, ms",
    "RSS after tenth 10, MB",
    "p99 beside, ms",
    "of reading it back",
    "beside copy_thread, ms",
    "from a SQLite file to here, checkpoints/s",
)


async def in_worker_threads(*calls: Callable[[], Awaitable[T]]) -> list[T]:
    """What `in_fresh_processes` does without the processes, each of which takes seconds: what is called and returned is pickled."""

    def run(pickled: bytes) -> bytes:
        async def main() -> T:
            return cast(T, await pickle.loads(pickled)())

        return pickle.dumps(asyncio.run(main()))

    return [pickle.loads(done) for done in await asyncio.gather(*(asyncio.to_thread(run, pickle.dumps(call)) for call in calls))]


@pytest.mark.timeout(300)
def test_every_section_runs_on_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for section in (pressure, processes, start):
        monkeypatch.setattr(section, "in_fresh_processes", in_worker_threads)
    # It would forget the peak of this process, which every section records.
    monkeypatch.setattr(pressure, "restart_peak", lambda: None)
    monkeypatch.chdir(tmp_path)
    failed = main(["--smoke", "--verbose", "--postgres", "none", "--results", "results"])
    output = capsys.readouterr()
    printed = output.out
    assert failed == 0, printed + output.err
    assert [line for line in printed.splitlines() if line.startswith("== ")] == [
        f"== {name_of(section)}: {description_of(section)}" for section in SECTIONS
    ]
    assert all(f"\n{row}" in printed for row in ROWS), printed
    assert "AsyncPostgresSaver: no" in printed
    for header in ("steps/s", "chat of", "put beside", "the upload through", "thread of"):
        (line,) = (line for line in printed.splitlines() if line.startswith(header))
        assert line.index("InMemorySaver") < line.index("ckptstore SQLite")
    assert_recorded(tmp_path / "results", printed)


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
    assert {path.name for path in folder.glob("*.png")} == {"steps.png", "chat.png", "long.png", "tags.png", "bounded.png"}


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


async def test_a_step_that_fails_is_counted_and_the_next_one_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work()
    async with on_sqlite(ASYNC_SQLITE) as contender:
        put, failures = contender.saver.aput, [TimeoutError()]

        async def fail_once(*arguments: Any, **named: Any) -> Any:
            if failures:
                raise failures.pop()
            return await put(*arguments, **named)

        monkeypatch.setattr(contender.saver, "aput", fail_once)
        await try_steps(HandMade(contender.saver, "thread"), 3, work)
        assert await count_lost(contender.saver, [work]) == (0, 0)
    assert work.errors == {"TimeoutError": 1}
    assert [stored.step for stored in work.puts] == [stored.step for stored in work.writes] == [1, 2]
