"""`one_writer`: runs of a thread one at a time, and free again whatever ends a run."""

from __future__ import annotations

import asyncio
import contextvars
import operator
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidConfig, LeaseLost, ThreadBusy
from ckptstore.langgraph import one_writer
from tests.support.build import config, put
from tests.support.leases import elsewhere, pass_time, queue, taken

THREAD = config("t")
RUN_ID = UUID(int=7)


class Log(TypedDict):
    log: Annotated[list[str], operator.add]


class Gate:
    """A node that tells when it runs, and waits until it may go on."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, _state: Log) -> dict[str, Any]:
        self.reached.set()
        await self.open.wait()
        return {"log": ["gate"]}


def graph_of(saver: SQLAlchemySaver, node: Any) -> Any:
    builder = StateGraph(Log)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    return builder.compile(checkpointer=saver)


def answer(_state: Log) -> dict[str, Any]:
    return {"log": ["answer"]}


async def opened(url: str, mode: Literal["refuse", "wait"] | None, **options: Any) -> SQLAlchemySaver:
    saver = SQLAlchemySaver.from_conn_string(url, one_writer=mode, **options)
    await saver.setup()
    return saver


@pytest.fixture
async def saver(lasting_url: str) -> AsyncIterator[SQLAlchemySaver]:
    async with await opened(lasting_url, "refuse") as saver:
        yield saver


@pytest.fixture
async def other(saver: SQLAlchemySaver, lasting_url: str) -> AsyncIterator[SQLAlchemySaver]:
    """Another process's saver, as far as a lease can tell."""
    async with await opened(lasting_url, "refuse") as other:
        yield other


def text(message: str) -> Log:
    return {"log": [message]}


async def test_a_second_run_is_refused_and_told_which_one_runs(saver: SQLAlchemySaver, other: SQLAlchemySaver) -> None:
    gate = Gate()
    running = elsewhere(graph_of(saver, gate).ainvoke(text("a"), {**THREAD, "run_id": RUN_ID}, durability="sync"))
    await gate.reached.wait()
    assert queue(saver) == [f"run {RUN_ID}"]
    for refused in (saver, other):
        with pytest.raises(ThreadBusy, match=f"held by 'run {RUN_ID}'"):
            await graph_of(refused, answer).ainvoke(text("b"), THREAD)
    # Reading, listing and time travel are free, other threads too.
    history = [state async for state in graph_of(other, answer).aget_state_history(THREAD)]
    assert [state.values for state in history] == [{"log": ["a"]}, {"log": []}]
    assert await graph_of(other, answer).aget_state(history[-1].config) is not None
    assert (await graph_of(other, answer).ainvoke(text("u"), config("u")))["log"] == ["u", "answer"]
    gate.open.set()
    assert (await running)["log"] == ["a", "gate"]
    assert (await graph_of(other, answer).ainvoke(text("b"), THREAD))["log"] == ["a", "gate", "b", "answer"]
    assert queue(saver) == []


async def test_without_it_one_of_two_runs_is_lost(lasting_url: str) -> None:
    """What it is for."""
    async with await opened(lasting_url, None) as saver:
        gates = [Gate(), Gate()]
        runs = [elsewhere(graph_of(saver, gate).ainvoke(text(name), THREAD)) for gate, name in zip(gates, "ab", strict=True)]
        for gate in gates:
            await gate.reached.wait()
        for gate in gates:
            gate.open.set()
        await asyncio.gather(*runs)
        # In turn, they would have left two questions and two answers.
        assert len((await graph_of(saver, answer).aget_state(THREAD)).values["log"]) < 4


async def test_runs_wait_their_turn_and_each_goes_on_from_the_last(lasting_url: str) -> None:
    async with await opened(lasting_url, "wait") as one, await opened(lasting_url, "wait") as two:
        graphs = [graph_of(saver, answer) for saver in (one, two)]
        tasks = [elsewhere(graphs[number % 2].ainvoke(text(str(number)), THREAD)) for number in range(8)]
        results = await asyncio.gather(*tasks)
        log = (await graphs[0].aget_state(THREAD)).values["log"]
        assert sorted(log[::2]) == [str(number) for number in range(8)]
        assert log[1::2] == ["answer"] * 8
        assert sorted(len(result["log"]) for result in results) == list(range(2, 18, 2))
        # The one wait is over, and nothing is left.
        assert queue(one) == []


async def test_who_waits_too_long_is_refused(lasting_url: str) -> None:
    async with await opened(lasting_url, "wait", one_writer_wait=0.05) as saver:
        await taken(saver, "somebody")
        with pytest.raises(ThreadBusy, match="somebody"):
            await graph_of(saver, answer).ainvoke(text("a"), THREAD)


async def fails(_state: Log) -> dict[str, Any]:
    raise ZeroDivisionError


async def asks(_state: Log) -> dict[str, Any]:
    return {"log": [interrupt("well?")]}


async def test_an_exception_ends_a_run(saver: SQLAlchemySaver, other: SQLAlchemySaver) -> None:
    with pytest.raises(ZeroDivisionError):
        await graph_of(saver, fails).ainvoke(text("a"), THREAD)
    assert (await graph_of(other, answer).ainvoke(text("b"), THREAD))["log"] == ["a", "b", "answer"]


async def test_an_interrupt_ends_a_run_and_its_resumption_is_another(saver: SQLAlchemySaver, other: SQLAlchemySaver) -> None:
    await graph_of(saver, asks).ainvoke(text("a"), THREAD)
    assert queue(saver) == []
    assert (await graph_of(other, asks).ainvoke(Command(resume="yes"), THREAD))["log"] == ["a", "yes"]


async def test_a_cancelled_task_ends_its_run(saver: SQLAlchemySaver, other: SQLAlchemySaver) -> None:
    gate = Gate()
    running = elsewhere(graph_of(saver, gate).ainvoke(text("a"), THREAD))
    await gate.reached.wait()
    running.cancel()
    await asyncio.wait([running])
    assert (await graph_of(other, answer).ainvoke(text("b"), THREAD))["log"] == ["a", "b", "answer"]


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_a_stream_that_nobody_reads_on_ends_its_run(saver: SQLAlchemySaver, other: SQLAlchemySaver, durability: str) -> None:
    stream = graph_of(saver, answer).astream(text("a"), THREAD, durability=durability)
    await anext(stream)
    assert len(queue(saver)) == 1
    await stream.aclose()
    assert queue(saver) == []
    await graph_of(other, answer).ainvoke(text("b"), THREAD)


async def test_updates_are_refused_during_a_run_only(saver: SQLAlchemySaver, other: SQLAlchemySaver) -> None:
    gate = Gate()
    graph = graph_of(saver, gate)
    running = elsewhere(graph.ainvoke(text("a"), THREAD))
    await gate.reached.wait()
    for refused in (saver, other):
        with pytest.raises(ThreadBusy):
            await graph_of(refused, answer).aupdate_state(THREAD, text("update"))
        with pytest.raises(ThreadBusy):
            await put(refused, THREAD, {"n": 1})
    gate.open.set()
    await running
    await graph_of(other, answer).aupdate_state(THREAD, text("update"))
    assert (await graph.aget_state(THREAD)).values["log"] == ["a", "gate", "update"]
    assert queue(saver) == []


async def test_subgraphs_write_under_the_lease_of_their_run(saver: SQLAlchemySaver) -> None:
    inner = StateGraph(Log)
    inner.add_node("one", answer)
    inner.add_node("two", asks)
    inner.add_edge(START, "one")
    inner.add_edge("one", "two")
    graph = graph_of(saver, inner.compile())
    await graph.ainvoke(text("a"), THREAD)
    assert (await graph.ainvoke(Command(resume="yes"), THREAD))["log"] == ["a", "a", "answer", "yes"]


async def test_a_run_whose_lease_was_taken_fails_and_stores_nothing_more(saver: SQLAlchemySaver, other: SQLAlchemySaver) -> None:
    gate = Gate()
    running = elsewhere(graph_of(saver, gate).ainvoke(text("a"), THREAD, durability="sync"))
    await gate.reached.wait()
    pass_time(saver, one_writer.LEASE_SECONDS)
    graph = graph_of(other, answer)
    assert (await graph.ainvoke(text("b"), THREAD))["log"] == ["a", "b", "answer"]
    gate.open.set()
    with pytest.raises(LeaseLost):
        await running
    assert (await graph.aget_state(THREAD)).values["log"] == ["a", "b", "answer"]
    # The thread and the process go on.
    assert (await graph_of(saver, answer).ainvoke(text("c"), THREAD))["log"] == ["a", "b", "answer", "c", "answer"]


async def test_a_run_within_hold_writes_under_it_and_a_second_one_is_refused(saver: SQLAlchemySaver, other: SQLAlchemySaver) -> None:
    gate = Gate()
    async with saver.ahold("t", label="job"):
        await graph_of(saver, answer).ainvoke(text("a"), THREAD)
        await graph_of(saver, answer).aupdate_state(THREAD, text("update"))
        assert queue(saver) == ["job"]
        running = asyncio.create_task(graph_of(saver, gate).ainvoke(text("b"), THREAD))
        await gate.reached.wait()
        with pytest.raises(ThreadBusy, match="same `hold`"):
            await graph_of(saver, answer).ainvoke(text("c"), THREAD)
        with pytest.raises(ThreadBusy, match="job"):
            await elsewhere(graph_of(other, answer).ainvoke(text("d"), THREAD))
        gate.open.set()
        assert (await running)["log"] == ["a", "answer", "update", "b", "gate"]
        await graph_of(saver, answer).ainvoke(text("e"), THREAD)
    assert queue(saver) == []


def test_a_synchronous_stream_goes_on_in_other_contexts(lasting_url: str) -> None:
    """As where a web server iterates over it on worker threads."""
    with SQLAlchemySaver.from_conn_string(lasting_url, one_writer="refuse") as saver:
        saver.setup()
        graph = graph_of(saver, answer)
        stream = graph.stream(text("a"), THREAD)
        steps = 0
        while contextvars.copy_context().run(next, stream, None) is not None:
            assert len(queue(saver)) == 1
            with pytest.raises(ThreadBusy):
                graph.invoke(text("b"), THREAD)
            steps += 1
        assert steps
        assert queue(saver) == []
        assert graph.invoke(text("b"), THREAD)["log"] == ["a", "answer", "b", "answer"]


async def test_plain_code_below_an_event_loop(saver: SQLAlchemySaver) -> None:
    graph = graph_of(saver, answer)
    for expected in (2, 4):
        assert len(graph.invoke(text("a"), THREAD)["log"]) == expected
    assert queue(saver) == []


async def test_a_run_whose_end_nobody_tells_has_its_lease_until_it_is_idle(
    saver: SQLAlchemySaver, other: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_writer, "current_run", lambda: None)
    graph = graph_of(saver, answer)
    await graph.ainvoke(text("a"), THREAD)
    lease = saver.store.leases.of("t")
    assert lease is not None
    assert lease.idle_since is not None
    with pytest.raises(ThreadBusy, match="a run"):
        await graph_of(other, answer).ainvoke(text("b"), THREAD)
    lease.idle_since -= one_writer.LEASE_SECONDS
    saver.store.leases._keeper._renew()
    assert saver.store.leases.of("t") is None
    pass_time(saver, one_writer.LEASE_SECONDS)
    monkeypatch.undo()
    await graph_of(other, answer).ainvoke(text("b"), THREAD)


async def test_a_lease_that_cannot_be_given_back_is_no_error_of_the_run(saver: SQLAlchemySaver, caplog: pytest.LogCaptureFixture) -> None:
    async def loses(_state: Log, config: RunnableConfig) -> dict[str, Any]:
        await asyncio.to_thread(lambda: saver.store.runner.write(lambda db: db.execute("DELETE FROM ckpt_lease")).result())
        return {}

    # With nothing to store after the loss, the run has lost nothing.
    graph = graph_of(saver, loses)
    with pytest.raises(LeaseLost):
        await graph.ainvoke(text("a"), THREAD)
    assert [record.event for record in caplog.records if hasattr(record, "event")] == ["thread_lease_lost"]


@pytest.mark.parametrize(
    "options",
    [{"one_writer": "yes"}, {"one_writer": True}, {"one_writer": "wait", "one_writer_wait": -1}, {"one_writer_wait": "1"}],
    ids=str,
)
def test_wrong_options_are_refused(sqlite_url: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match="one_writer"):
        SQLAlchemySaver.from_conn_string(sqlite_url, **options)
