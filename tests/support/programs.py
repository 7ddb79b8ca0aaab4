"""What processes of tests run on a database that others have open too."""

from __future__ import annotations

import asyncio
import faulthandler
import operator
import random
import signal
import time
import warnings
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Annotated, Any, Literal

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from ckptstore import SQLAlchemySaver
from ckptstore.errors import ThreadBusy
from tests.support.build import chain, checkpoint, config, metadata

THREAD = config("t")


class Count(TypedDict):
    count: Annotated[int, operator.add]


async def _nothing(_state: Count) -> dict[str, int]:
    return {}


def counting(saver: SQLAlchemySaver, node: Any = _nothing) -> Any:
    """A graph that adds up what it is given."""
    return StateGraph(Count).add_node("node", node).add_edge(START, "node").compile(checkpointer=saver)


def count_up(told: Connection, url: str, mode: Literal["wait", "refuse"], runs: int) -> None:
    """Run one thread again and again, and send what each run counted up to."""

    async def run(graph: Any) -> Any:
        while True:
            try:
                return await graph.ainvoke({"count": 1}, THREAD)
            except ThreadBusy:
                await asyncio.sleep(0.001)

    async def main() -> None:
        async with SQLAlchemySaver.from_conn_string(url, one_writer=mode) as saver:
            graph = counting(saver)
            for _ in range(runs):
                told.send((await run(graph))["count"])

    asyncio.run(main())


def set_up(_told: Connection, url: str, barrier: Barrier) -> None:
    """Set a database up as soon as all others are about to."""

    async def main() -> None:
        async with SQLAlchemySaver.from_conn_string(url) as saver:
            barrier.wait(60)
            await saver.setup()

    asyncio.run(main())


def run_for_ever(told: Connection, url: str) -> None:
    """Send something from a run that does not end."""

    async def wait(_state: Count) -> None:
        told.send("runs")
        await asyncio.sleep(3600)

    async def main() -> None:
        async with SQLAlchemySaver.from_conn_string(url, one_writer="refuse") as saver:
            await counting(saver, wait).ainvoke({"count": 1}, THREAD, durability="sync")

    asyncio.run(main())


def put_many(told: Connection, url: str, name: str) -> None:
    """Put ten checkpoints in each of 25 threads at once."""

    async def main() -> None:
        async with SQLAlchemySaver.from_conn_string(url) as saver:
            await asyncio.gather(*[chain(saver, f"{name}-{n}", 10) for n in range(25)])
            told.send(25 * 10)

    asyncio.run(main())


def put_for_ever(told: Connection, url: str) -> None:
    """Put checkpoints and writes in five threads, and send the thread and the number of each once it is acknowledged."""

    async def one(saver: SQLAlchemySaver, thread_id: str) -> None:
        where = config(thread_id)
        for n in range(1_000_000):
            version = f"{n + 1:010}.x"
            where = await saver.aput(where, checkpoint({"n": n}, {"n": version}), metadata(n), {"n": version})
            await saver.aput_writes(where, [("n", n)], f"task-{n}")
            told.send((thread_id, n))

    async def main() -> None:
        async with SQLAlchemySaver.from_conn_string(url) as saver:
            await asyncio.gather(*[one(saver, f"t{n}") for n in range(5)])

    asyncio.run(main())


def interrupt_updates(told: Connection, url: str) -> None:
    """Interrupt one update after another by signals, and send what is read afterwards, and whether enough were interrupted."""
    faulthandler.dump_traceback_later(90, exit=True)
    warnings.simplefilter("ignore", RuntimeWarning)

    def interrupt(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, interrupt)
    state: Any = dict
    builder: Any = StateGraph(state).add_node("one", lambda _state: {"n": 1})
    builder.add_edge(START, "one").add_edge("one", END)
    interrupted = 0
    with SQLAlchemySaver.from_conn_string(url) as saver:
        saver.setup()
        graph = builder.compile(checkpointer=saver)
        graph.invoke({"n": 0}, THREAD)
        for delay in _delays(graph):
            try:
                signal.setitimer(signal.ITIMER_REAL, delay)
                graph.update_state(THREAD, {"n": 1})
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        graph.update_state(THREAD, {"n": "last"})
        told.send(graph.get_state(THREAD).values["n"])
        told.send(interrupted > 10)


def _delays(graph: Any) -> list[float]:
    """After how many seconds each of 150 updates is interrupted: from at once to about the time that one takes."""
    delays, started = random.Random(1), time.perf_counter()
    graph.update_state(THREAD, {"n": 0})
    longest = time.perf_counter() - started
    return [delays.uniform(1e-5, longest) for _ in range(150)]
