"""Reading a database back through a fresh saver, and comparing it with what was acknowledged."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from typing import NamedTuple

from langgraph.checkpoint.base import CheckpointTuple

from benchmarks.contenders import Connect
from benchmarks.faults.journal import Evidence, Step
from benchmarks.faults.writer import values_of, writes_of

#: Of a checkpoint that no task put.
NOBODYS = Step("", 0)


class Verdict(NamedTuple):
    """What is amiss in a database.

    Args:
        lost: acknowledged puts and writes that are not there, or not whole: one of a task's writes may be missing.
        wrong: checkpoints that nobody put, or with another state or other writes than were put.
    """

    lost: int
    wrong: int


def check(connect: Connect, url: str, evidence: Evidence) -> Verdict:
    """Read everything there is."""
    return asyncio.run(_check(connect, url, evidence))


async def _check(connect: Connect, url: str, evidence: Evidence) -> Verdict:
    async with connect(url) as saver:
        return await compare(saver.alist(None), evidence)


async def compare(listed: AsyncIterator[CheckpointTuple], evidence: Evidence) -> Verdict:
    """Look for all that was acknowledged in what a saver lists."""
    put, written, wrong = set(evidence.put), set(evidence.written), 0
    async for found in listed:
        checkpoint_id = found.checkpoint["id"]
        step = evidence.begun.get(checkpoint_id, NOBODYS)
        state_is_right = _thread_id(found) == step.thread_id and found.checkpoint["channel_values"] == values_of(*step)
        writes, expected = _writes(found), writes_of(*step)
        if state_is_right:
            put.discard(checkpoint_id)
        if writes == expected:
            written.discard(checkpoint_id)
        wrong += not state_is_right or any(write not in expected for write in writes)
    return Verdict(len(put) + len(written), wrong)


def _thread_id(found: CheckpointTuple) -> str:
    thread_id: str = found.config["configurable"]["thread_id"]
    return thread_id


def _writes(found: CheckpointTuple) -> list[tuple[str, object]]:
    return [(channel, value) for _, channel, value in found.pending_writes or ()]


def is_sound(file: str) -> bool:
    """What SQLite says of the structure of a file."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
