"""The harness of `make faults` reports a saver that loses, alters or hangs, and none that does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata

from benchmarks.contenders import ASYNC_SQLITE, CONNECT, AnySaver, Connect, Contender
from benchmarks.databases import SqliteFile
from benchmarks.faults.__main__ import main
from benchmarks.faults.kinds import kills
from benchmarks.faults.lab import Lab, Size, trial
from benchmarks.faults.outcome import Outcome

pytestmark = pytest.mark.starts_processes


@asynccontextmanager
async def sometimes(url: str, put_otherwise: Callable[[AnySaver, Any], Any]) -> AsyncIterator[AnySaver]:
    """The official saver, but for every fifth put."""
    async with CONNECT[ASYNC_SQLITE](url) as saver:
        put, puts = saver.aput, 0

        async def aput(config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, versions: Any) -> RunnableConfig:
            nonlocal puts
            puts += 1
            if puts % 5:
                return await put(config, checkpoint, metadata, versions)
            otherwise = await put_otherwise(saver, checkpoint)
            if otherwise is not None:
                return await put(config, otherwise, metadata, versions)
            return {"configurable": {**config["configurable"], "checkpoint_id": checkpoint["id"]}}

        saver.aput = aput  # type: ignore[method-assign, assignment]
        yield saver


@asynccontextmanager
async def forgetful(url: str) -> AsyncIterator[AnySaver]:
    async def forget(_: AnySaver, __: Checkpoint) -> None:
        return None

    async with sometimes(url, forget) as saver:
        yield saver


@asynccontextmanager
async def altering(url: str) -> AsyncIterator[AnySaver]:
    async def alter(_: AnySaver, checkpoint: Checkpoint) -> Checkpoint:
        return {**checkpoint, "channel_values": {**checkpoint["channel_values"], "text": "another"}}

    async with sometimes(url, alter) as saver:
        yield saver


@asynccontextmanager
async def stuck(url: str) -> AsyncIterator[AnySaver]:
    async def hang(_: AnySaver, __: Checkpoint) -> None:
        await asyncio.Event().wait()

    async with sometimes(url, hang) as saver:
        yield saver


def outcome_of(connect: Connect, bound_seconds: float = 60.0) -> Outcome:
    """After two kills."""
    lab = Lab(Size.SMOKE, seed=1, bound_seconds=bound_seconds)
    with trial(lab, Contender("tried", connect, SqliteFile), "Kills") as made:
        kills.run(made)
    return made.outcome


def test_an_honest_saver_is_reported_as_such() -> None:
    outcome = outcome_of(CONNECT[ASYNC_SQLITE])
    assert (outcome.times, outcome.lost, outcome.wrong, outcome.hung, outcome.unsound) == (2, 0, 0, 0, False)
    assert len(outcome.soonest) == len(outcome.slowest) == 2
    assert outcome.acknowledged > 0
    assert outcome.is_clean


def test_a_saver_that_loses_is_reported_as_losing() -> None:
    outcome = outcome_of(forgetful)
    assert outcome.lost > 0
    assert outcome.wrong == outcome.hung == 0


def test_a_saver_that_alters_is_reported_as_wrong() -> None:
    outcome = outcome_of(altering)
    assert outcome.wrong > 0
    assert outcome.lost > 0


def test_a_saver_that_hangs_is_counted_and_waited_for_no_longer_than_the_bound() -> None:
    outcome = outcome_of(stuck, bound_seconds=0.5)
    assert outcome.hung > 0
    assert not outcome.is_clean


def test_the_command_puts_its_results_between_the_marks_of_a_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = tmp_path / "faults.md"
    document.write_text("Before.\n\n<!-- written by `make faults` -->\nold\n<!-- end of what `make faults` wrote -->\n\nAfter.\n")
    assert main(["kills", "bit_flips", "--smoke", "--seed", "3", "--postgres", "none", "--write", str(document)]) == 0
    written, printed = document.read_text(), capsys.readouterr().out
    assert written.startswith(
        "Before.\n\n<!-- written by `make faults` -->\n\n- command: python -m benchmarks.faults kills bit_flips --smoke"
    )
    assert written.endswith("<!-- end of what `make faults` wrote -->\n\nAfter.\n")
    assert "old" not in written
    assert "seed        3\n" in printed
    for saver in ("AsyncSqliteSaver", "ckptstore SQLite"):
        for fault, times in (("Kills", 2), ("Bit flips", 10)):
            assert f"| {fault} | {saver} | {times} |" in written
            assert f"| {fault} | {saver} | {times} |" in printed
