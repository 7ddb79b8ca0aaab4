"""A process whose calls are interrupted by real signals, again and again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.databases import url_of

# A timer interrupts each call after another while, from at once to about the time that a put takes.
SCRIPT = """
import faulthandler, random, signal, sys, time

from ckptstore import SQLAlchemySaver
from langgraph.graph import END, START, StateGraph

faulthandler.dump_traceback_later(90, exit=True)


def interrupt(_number, _frame):
    raise KeyboardInterrupt


signal.signal(signal.SIGALRM, interrupt)
delays = random.Random(1)
config = {"configurable": {"thread_id": "t"}}
builder = StateGraph(dict).add_node("one", lambda state: {"n": 1})
builder.add_edge(START, "one").add_edge("one", END)
interrupted = 0
with SQLAlchemySaver.from_conn_string(sys.argv[1]) as saver:
    saver.setup()
    graph = builder.compile(checkpointer=saver)
    graph.invoke({"n": 0}, config)
    started = time.perf_counter()
    graph.update_state(config, {"n": 0})
    longest = time.perf_counter() - started
    for number in range(150):
        try:
            signal.setitimer(signal.ITIMER_REAL, delays.uniform(1e-5, longest))
            graph.update_state(config, {"n": number})
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            interrupted += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    graph.update_state(config, {"n": "last"})
    print(graph.get_state(config).values["n"], interrupted > 10)
"""


@pytest.mark.starts_processes
@pytest.mark.parametrize("database", ["sqlite", "asyncpg", "psycopg"])
def test_updates_that_signals_interrupt_leave_the_process_usable(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> None:
    command = [sys.executable, "-W", "ignore::RuntimeWarning", "-c", SCRIPT, url_of(database, request, tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["last", "True"]), done.stderr
