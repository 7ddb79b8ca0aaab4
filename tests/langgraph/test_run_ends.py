"""Where runs end: told before their caller goes on, on threads with and without an event loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from langchain_core.runnables import RunnableLambda

from ckptstore.langgraph import run_ends
from ckptstore.langgraph.run_ends import at_end, current_run, watch_runs
from ckptstore.runtime.steps import Steps, done_after


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    watch_runs()
    return []


def note_end(ended: list[str], name: str) -> None:
    def end() -> Steps[None]:
        yield done_after(0.001)
        ended.append(name)

    run_id = current_run()
    assert run_id is not None
    at_end(run_id, end)


def test_the_end_of_plain_code(ended: list[str]) -> None:
    def outer(_input: str) -> str:
        note_end(ended, "outer")
        RunnableLambda(lambda _: note_end(ended, "inner")).invoke("")
        assert ended == ["inner"]
        return "done"

    assert RunnableLambda(outer).invoke("") == "done"
    assert ended == ["inner", "outer"]
    assert current_run() is None


async def test_the_end_of_a_coroutine(ended: list[str]) -> None:
    async def run(_input: str) -> None:
        note_end(ended, "coroutine")

    async def fails(_input: str) -> None:
        note_end(ended, "failure")
        raise ZeroDivisionError

    await RunnableLambda(run).ainvoke("")
    assert ended == ["coroutine"]
    with pytest.raises(ZeroDivisionError):
        await RunnableLambda(fails).ainvoke("")
    assert ended == ["coroutine", "failure"]
    # Plain code whose caller is in a loop.
    RunnableLambda(lambda _: note_end(ended, "below a loop")).invoke("")
    assert ended[-1] == "below a loop"


async def test_runs_at_the_same_time_end_each_for_itself(ended: list[str]) -> None:
    async def run(name: str) -> None:
        note_end(ended, name)
        await asyncio.sleep(0)

    await asyncio.gather(*[RunnableLambda(run).ainvoke(name) for name in "abc"])
    assert sorted(ended) == ["a", "b", "c"]
    assert run_ends._ends == {}
    assert run_ends._under_way == set()


def test_runs_are_watched_once() -> None:
    watch_runs()
    watch_runs()
    assert len(run_ends._handlers) == 2


def test_tracers_are_loaded_where_runs_are_watched_only() -> None:
    program = "import sys, ckptstore; print('langchain_core.tracers.context' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
