"""The benchmarks run from end to end, say who takes part, and report a section that fails. No figure is looked at."""

from __future__ import annotations

import asyncio
import json
import pickle
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from benchmarks.__main__ import main
from benchmarks.bench import Section
from benchmarks.command_line import description_of, name_of
from benchmarks.contenders import ASYNC_SQLITE, CKPTSTORE_SQLITE, Contender, contenders
from benchmarks.sections import SECTIONS, pressure, processes, start
from benchmarks.sections.processes import Work, count_lost, try_steps
from benchmarks.workload import HandMade

T = TypeVar("T")
#: Of each section, how some lines of its tables begin.
LINES: Mapping[str, Sequence[str]] = {
    "steps": ("steps/s", "1 task ", "50 tasks"),
    "sync": ("10 threads, steps/s", "1 thread, CPU of one, ms"),
    "chat": ("chat of", "turns/s", "bytes stored / final state"),
    "long": ("of 12 messages",),
    "sliding": ("bytes a checkpoint while it slides",),
    "upload": ("put beside", "the upload through", "with / without", "objects outside the database"),
    "read": ("thread of", "aget_tuple"),
    "tags": ("two common tags, 100 hits", "two common tags that never meet", "50 threads of a user", "with / without tags"),
    "store": ("% of the plain file", "reading it with a new saver"),
    "bounded": ("put p99 beside", "day 90 / day 30", "one text: put / serialising"),
    "latency": ("50 tasks", "aput_writes, p99"),
    "proxy": ("through a proxy, 1 ms each way, steps/s",),
    "processes": ("acknowledged writes lost",),
    "start": ("import beyond LangGraph's own", "first in its process"),
    "open": ("wall, ms",),
    "pressure": ("RSS after tenth 10, MB", "p99 beside, ms", "of reading it back"),
    "upkeep": ("beside copy_thread, ms",),
    "growth": ("listing without checkpoint_ns, exponent", "listing without checkpoint_ns, exponent of CPU without the collector"),
    "move": ("from a SQLite file to here, checkpoints/s",),
    "inspect": ("list of 60 threads: first byte",),
}
CHARTS = ("steps", "chat", "long", "tags", "bounded")
SMOKE = ("--smoke", "--verbose", "--postgres", "none", "--results", "results")


async def in_worker_threads(*calls: Callable[[], Awaitable[T]]) -> list[T]:
    """What `in_fresh_processes` does without the processes, each of which takes seconds: what is called and returned is pickled."""

    def run(pickled: bytes) -> bytes:
        async def main() -> T:
            return cast(T, await pickle.loads(pickled)())

        return pickle.dumps(asyncio.run(main()))

    return [pickle.loads(done) for done in await asyncio.gather(*(asyncio.to_thread(run, pickle.dumps(call)) for call in calls))]


@pytest.fixture
def in_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for section in (pressure, processes, start):
        monkeypatch.setattr(section, "in_fresh_processes", in_worker_threads)
    # Between laps; all that the tests before left in this process would be looked through each time.
    monkeypatch.setattr("benchmarks.bench.gc.collect", lambda: 0)
    # It would forget the peak of this process, which every section records.
    monkeypatch.setattr(pressure, "restart_peak", lambda: None)
    monkeypatch.chdir(tmp_path)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("in_one_process")
@pytest.mark.parametrize("section", SECTIONS, ids=name_of)
def test_every_section_runs_on_sqlite(section: Section, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = name_of(section)
    failed = main([*SMOKE, name])
    output = capsys.readouterr()
    printed = output.out
    assert failed == 0, printed + output.err
    assert [line for line in printed.splitlines() if line.startswith("== ")] == [f"== {name}: {description_of(section)}"]
    assert all(f"\n{line}" in printed for line in LINES[name]), printed
    assert "AsyncPostgresSaver: no" in printed
    (path,) = (tmp_path / "results").glob("*.json")
    assert path.stem == name
    assert_recorded(json.loads(path.read_text(encoding="utf-8")), name, printed)
    assert [found.name for found in path.parent.glob("*.png")] == [f"{name}.png"] * (name in CHARTS)


def assert_recorded(record: Mapping[str, Any], name: str, printed: str) -> None:
    """A section's file holds the rows that were printed."""
    assert record["command"] == " ".join(["python -m benchmarks", *SMOKE, name])
    assert (record["size"], record["laps"]) == ("smoke", 1)
    assert record["environment"]["PostgreSQL"] == "none"
    assert datetime.fromisoformat(record["date"]).utcoffset() == timedelta(0)
    assert record["seconds"] > 0
    assert record["peak_rss_mb_so_far"] > 0
    assert all(f"\n{label:10}  {text}\n" in f"\n{printed}" for label, text in record["environment"].items())
    lines = [*(table["title"] for table in record["tables"]), *(row["label"] for table in record["tables"] for row in table["rows"])]
    assert lines
    assert all(f"\n{line}" in printed for line in lines)
    assert all(any(f"{line} ".startswith(wanted) for line in lines) for wanted in LINES[name])


@pytest.mark.usefixtures("in_one_process")
def test_sections_run_in_the_order_in_which_they_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMOKE, "sliding", "read"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in printed if line.startswith("== ")] == ["== sliding", "== read"]
    (line,) = (line for line in printed if line.startswith("thread of"))
    assert line.index("InMemorySaver") < line.index("ckptstore SQLite")
    records = [json.loads((tmp_path / "results" / f"{name}.json").read_text(encoding="utf-8")) for name in ("sliding", "read")]
    peaks = [record["peak_rss_mb_so_far"] for record in records]
    assert peaks == sorted(peaks)


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
