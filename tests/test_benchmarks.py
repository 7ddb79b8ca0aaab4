"""The benchmarks run from end to end, say who takes part, and report a section that fails. No figure is looked at."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main, name_of, title_of
from benchmarks.bench import Bench
from benchmarks.contenders import ASYNC_SQLITE, CKPTSTORE_SQLITE, Contender, contenders
from benchmarks.link import address_of, slow_link, through
from benchmarks.report import Table
from benchmarks.sections import SECTIONS
from benchmarks.sections.processes import Work, count_lost, try_steps
from benchmarks.sections.start import outermost
from benchmarks.workload import HandMade

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
    command = [sys.executable, "-m", "benchmarks", "--quick", "--verbose", "--postgres", "none"]
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


def test_tiny_and_large_at_once_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--quick", "--full"])
    assert stopped.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


def test_a_gain_is_more_of_what_is_good_and_less_of_what_is_not() -> None:
    table = Table("title", ["AsyncSqliteSaver", "ckptstore SQLite"])
    table.add("steps/s", {"AsyncSqliteSaver": [1, 2, 90], "ckptstore SQLite": [6]}, more_is_better=True)
    table.add("ms", {"AsyncSqliteSaver": [8], "ckptstore SQLite": [2]})
    table.add("rows", {"AsyncSqliteSaver": [8], "ckptstore SQLite": [None]})
    lines = [line.split() for line in str(table).splitlines()]
    assert [line[-3:] for line in lines[1:]] == [["2", "6", "3.00x"], ["8", "2", "4.00x"], ["8", "-", "-"]]


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
