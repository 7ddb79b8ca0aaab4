"""Writes as agents make them, to measure what a database takes."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata, empty_checkpoint

from ckptstore.langgraph.saver import SQLAlchemySaver

_VALUE_BYTES = 1_000


async def writes_per_second(saver: SQLAlchemySaver, agents: int, seconds: float, interrupted: threading.Event) -> float:
    """How many writes per second get stored when each of so many agents puts a checkpoint, waits for it, and puts the next one.

    Args:
        saver: a saver on an empty store, whose schema is set up.
        agents: how many write at the same time, each to a thread of its own.
        seconds: how long it takes; less if it is interrupted.
        interrupted: ends it.
    """
    started = time.monotonic()
    await asyncio.gather(*[_write(saver, f"agent {number}", started + seconds, interrupted) for number in range(agents)])
    return saver.stats().since_start.writes / (time.monotonic() - started)


async def _write(saver: SQLAlchemySaver, thread_id: str, until: float, interrupted: threading.Event) -> None:
    config: RunnableConfig = {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}
    step = 0
    while time.monotonic() < until and not interrupted.is_set():
        versions: dict[str, str | int | float] = {"text": step + 1}
        value = {"text": secrets.token_hex(_VALUE_BYTES // 2)}
        checkpoint: Checkpoint = {**empty_checkpoint(), "channel_values": value, "channel_versions": versions}
        metadata: CheckpointMetadata = {"source": "loop", "step": step, "parents": {}}
        config = await saver.aput(config, checkpoint, metadata, versions)
        step += 1
