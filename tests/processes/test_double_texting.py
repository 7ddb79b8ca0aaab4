"""Two processes that run the same thread at the same time, again and again: no run is lost, and none goes on from another's middle."""

from __future__ import annotations

import operator
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from ckptstore import SQLAlchemySaver
from ckptstore.errors import ThreadBusy
from ckptstore.langgraph.one_writer import LEASE_SECONDS
from tests.support.build import config
from tests.support.databases import url_of
from tests.support.leases import ON_DATABASES, pass_time, queue

pytestmark = pytest.mark.starts_processes

CHECKOUT = Path(__file__).parents[2]
THREAD = config("t")

# Of each of two processes: a thousand on a file, fewer where each takes ten round trips to a server, and where who is refused asks again
# at once.
RUNS = {"sqlite": 500, "asyncpg": 50, "psycopg": 50}
RUNS_REFUSED = 20

GRAPH = """
import asyncio, operator, sys
from typing import Annotated, TypedDict
from langgraph.graph import START, StateGraph
from ckptstore import SQLAlchemySaver
from ckptstore.errors import ThreadBusy

THREAD = {"configurable": {"thread_id": "t"}}

class Count(TypedDict):
    count: Annotated[int, operator.add]

async def nothing(state):
    return {}

def graph_of(saver, node=nothing):
    builder = StateGraph(Count)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    return builder.compile(checkpointer=saver)
"""

RUN_MANY = f"""
{GRAPH}
async def run(graph):
    while True:
        try:
            return await graph.ainvoke({{"count": 1}}, THREAD)
        except ThreadBusy:
            await asyncio.sleep(0.001)

async def main(url, mode, runs):
    async with SQLAlchemySaver.from_conn_string(url, one_writer=mode) as saver:
        graph = graph_of(saver)
        for _ in range(int(runs)):
            print((await run(graph))["count"])

asyncio.run(main(*sys.argv[1:]))
"""

RUN_FOR_EVER = f"""
{GRAPH}
async def wait(state):
    print("runs", flush=True)
    await asyncio.sleep(3600)

async def main(url):
    async with SQLAlchemySaver.from_conn_string(url, one_writer="refuse") as saver:
        await graph_of(saver, wait).ainvoke({{"count": 1}}, THREAD, durability="sync")

asyncio.run(main(*sys.argv[1:]))
"""


class Count(TypedDict):
    count: Annotated[int, operator.add]


def graph_of(saver: SQLAlchemySaver) -> Any:
    builder = StateGraph(Count)
    builder.add_node("node", lambda _state: {})
    builder.add_edge(START, "node")
    return builder.compile(checkpointer=saver)


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", program, *arguments], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)


def counts_of_two(url: str, mode: str, runs: int) -> list[int]:
    """What each run of two processes counted up to."""
    processes = [start(RUN_MANY, url, mode, str(runs)) for _ in range(2)]
    output = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    return sorted(int(line) for text in output for line in text.split())


@ON_DATABASES
@pytest.mark.parametrize("mode", ["wait", "refuse"])
def test_no_run_is_lost_and_none_is_merged(database: str, mode: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url, runs = url_of(database, request, tmp_path), RUNS[database] if mode == "wait" else RUNS_REFUSED
    assert counts_of_two(url, mode, runs) == list(range(1, 2 * runs + 1))
    with SQLAlchemySaver.from_conn_string(url) as saver:
        assert graph_of(saver).get_state(THREAD).values == {"count": 2 * runs}
        assert queue(saver) == []


@ON_DATABASES
def test_a_killed_holder_has_the_thread_until_its_lease_expires(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = url_of(database, request, tmp_path)
    killed = start(RUN_FOR_EVER, url)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "runs\n"
    killed.kill()
    killed.wait()
    killed.stdout.close()
    with SQLAlchemySaver.from_conn_string(url, one_writer="refuse") as saver:
        graph = graph_of(saver)
        with pytest.raises(ThreadBusy) as raised:
            graph.invoke({"count": 1}, THREAD)
        assert raised.value.pid == killed.pid
        pass_time(saver, LEASE_SECONDS)
        # What the killed run had stored is there.
        assert graph.invoke({"count": 1}, THREAD) == {"count": 2}
